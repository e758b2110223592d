/* The packet reader's two inner loops: where records start (walk.py), and what usual packets say
   (straight.py). Plain C11 without Python's headers; loaded by compiled.py.

   Captures are hostile: whatever a packet or a record says of itself is compared with the buffer's
   size before a byte is read. Sizes have 64 bits, so no sum of lengths (32 bits) overflows. Numbers
   are put together byte by byte, which needs no alignment; compilers make one load of it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Of this very file, from setup.py: a library older than its source is not used. */
const char source_sha256[] = SOURCE_SHA256;

static uint16_t big16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static uint32_t big32(const uint8_t *at) { return (uint32_t)big16(at) << 16 | big16(at + 2); }
static uint64_t big64(const uint8_t *at) { return (uint64_t)big32(at) << 32 | big32(at + 4); }
static uint32_t little32(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}
static uint32_t number(const uint8_t *at, bool big) { return big ? big32(at) : little32(at); }

/* ---- records */

struct rule { /* walk.RecordRule */
    int64_t big_endian, header_bytes, length_at, overhead_bytes, min_length, max_length, stop_at;
    int64_t words; /* of each record's beginning to be noted */
};

struct end {
    int64_t next_offset; /* behind the last record */
    int64_t bad_length;  /* of the record there, if it is not believed; else -1 */
};

/* Notes the starts of at most `room` records, from `start` on, that end within the buffer, and their
   first 32-bit words: `room` first ones, `room` second ones, ...; 0 behind a record's end. Returns
   how many records they are. */
int64_t walk(const uint8_t *data, int64_t size, int64_t start, const struct rule *rule,
             int64_t room, int64_t *offsets, uint32_t *words, struct end *end)
{
    bool big = rule->big_endian;
    int64_t here = start, count = 0;
    end->bad_length = -1;
    while (count < room && rule->header_bytes <= size - here) {
        const uint8_t *record = data + here;
        if (number(record, big) == rule->stop_at)
            break;
        int64_t length = number(record + rule->length_at, big);
        if (length < rule->min_length || length > rule->max_length) {
            end->bad_length = length;
            break;
        }
        int64_t bytes = length + rule->overhead_bytes;
        if (bytes > size - here)
            break;
        offsets[count] = here;
        for (int64_t i = 0; i < rule->words; i++)
            words[i * room + count] = 4 * i + 4 <= bytes ? number(record + 4 * i, big) : 0;
        count++;
        here += bytes;
    }
    end->next_offset = here;
    return count;
}

/* ---- usual packets: TCP behind an IPv4 header without options and plain Ethernet */

enum { IP_AT = 14, TCP_AT = 34, HEADERS_BYTES = 54, TIMESTAMP_BYTES = 12 };

struct packets {
    const uint8_t *data;  /* the buffer */
    const int64_t *start; /* where each packet begins in it */
    const int32_t *captured, *wire;
    int64_t size, count; /* of the buffer, of the packets */
};

/* All captured bytes are in the buffer, and they hold the headers. */
static bool is_captured(const struct packets *all, int64_t i)
{
    int64_t start = all->start[i], captured = all->captured[i];
    return captured >= HEADERS_BYTES && start >= 0 && start <= all->size &&
           captured <= all->size - start;
}

static int32_t tcp_header_bytes(const uint8_t *packet) { return packet[TCP_AT + 12] >> 4 << 2; }

static bool is_usual(const struct packets *all, int64_t i)
{
    if (!is_captured(all, i) || all->captured[i] > all->wire[i])
        return false;
    const uint8_t *packet = all->data + all->start[i], *ip = packet + IP_AT;
    int32_t total = big16(ip + 2), header = tcp_header_bytes(packet);
    return big16(packet + 12) == 0x0800 && ip[0] == 0x45 && ip[9] == 6 &&
           (big16(ip + 6) & 0x3FFF) == 0 /* no fragment */ &&
           header >= 20 && header + 20 <= total && total <= all->wire[i] - IP_AT;
}

/* How many of every `step`th packet are usual. */
int64_t count_usual(const struct packets *all, int64_t step)
{
    int64_t count = 0;
    for (int64_t i = 0; i < all->count; i += step)
        count += is_usual(all, i);
    return count;
}

struct pairs { /* codes.Pairs, with 1 << slot_bits slots */
    const uint64_t *wide;
    const uint32_t *narrow;
    const int32_t *first, *second;
    int64_t slot_bits;
};

/* The codes of two addresses; -1 if the table does not hold them. */
static void look_up(const struct pairs *table, uint64_t wide, uint32_t narrow, int32_t *first,
                    int32_t *second)
{
    uint64_t slot = (wide * 0x9E3779B97F4A7C15u ^ narrow * 0xC2B2AE3D27D4EB4Fu) >> (64 - table->slot_bits);
    bool known = table->wide[slot] == wide && table->narrow[slot] == narrow;
    *first = known ? table->first[slot] : -1;
    *second = known ? table->second[slot] : -1;
}

struct columns { /* all zeros yet; NULL: not wanted. Types as in columns.py, codes have 32 bits */
    int32_t *eth_dst, *eth_src, *ip_src, *ip_dst;
    int32_t *ip_bytes;
    uint8_t *ip_dscp, *ip_ecn;
    uint32_t *ip_id;
    bool *ip_df;
    uint8_t *ip_ttl;
    bool *ip_checksum_ok;
    uint16_t *tcp_sport, *tcp_dport;
    uint32_t *tcp_seq, *tcp_ack;
    uint16_t *tcp_flags, *tcp_window, *tcp_urgent;
    int32_t *tcp_header_bytes, *tcp_payload_bytes;
    uint32_t *tcp_tsval, *tcp_tsecr;
    bool *tcp_tsval_absent, *tcp_tsecr_absent;
    int64_t *payload_start, *payload_length;
};

struct options { /* put aside for options.py; NULL: not wanted. Room for all packets */
    uint8_t (*octets)[40];
    int32_t *stated, *captured; /* bytes of options by the header, and of those the captured ones */
    int64_t *packet;
    int64_t count;
};

#define PUT(column, value)           \
    do {                             \
        if (to->column)              \
            to->column[i] = (value); \
    } while (0)

static void put_ip(const struct columns *to, int64_t i, const uint8_t *ip)
{
    uint32_t sum = 0; /* in ones' complement that of a right header is 0xFFFF (RFC 1071) */
    for (int at = 0; at < 20; at += 2)
        sum += big16(ip + at);
    sum = (sum >> 16) + (sum & 0xFFFF);
    PUT(ip_checksum_ok, sum == 0xFFFF);
    PUT(ip_bytes, big16(ip + 2));
    PUT(ip_dscp, ip[1] >> 2);
    PUT(ip_ecn, ip[1] & 3);
    PUT(ip_id, big16(ip + 4));
    PUT(ip_df, (ip[6] & 0x40) != 0);
    PUT(ip_ttl, ip[8]);
}

static void put_tcp(const struct columns *to, int64_t i, const uint8_t *tcp)
{
    PUT(tcp_sport, big16(tcp));
    PUT(tcp_dport, big16(tcp + 2));
    PUT(tcp_seq, big32(tcp + 4));
    PUT(tcp_ack, big32(tcp + 8));
    PUT(tcp_flags, big16(tcp + 12) & 0x01FF);
    PUT(tcp_window, big16(tcp + 14));
    PUT(tcp_urgent, big16(tcp + 18));
}

/* NOP, NOP, timestamps: what nearly every segment of an established connection carries. The options
   of any other one are put aside. */
static void put_options(const struct columns *to, int64_t i, const uint8_t *options, int32_t stated,
                        int32_t captured, struct options *others)
{
    if (stated == TIMESTAMP_BYTES && captured == stated && big32(options) == 0x0101080A) {
        PUT(tcp_tsval, big32(options + 4));
        PUT(tcp_tsecr, big32(options + 8));
        return;
    }
    PUT(tcp_tsval_absent, true);
    PUT(tcp_tsecr_absent, true);
    if (stated > 0 && others->octets) {
        int64_t k = others->count++;
        memset(others->octets[k], 0, 40);
        memcpy(others->octets[k], options, (size_t)captured);
        others->stated[k] = stated;
        others->captured[k] = captured;
        others->packet[k] = i;
    }
}

static int32_t least(int32_t one, int32_t other) { return one < other ? one : other; }

/* Writes the columns of the usual packets, and which they are; returns how many. */
int64_t put_usual(const struct packets *all, const struct pairs *macs, const struct pairs *ips,
                  const struct columns *to, struct options *others, bool *usual)
{
    int64_t count = 0;
    for (int64_t i = 0; i < all->count; i++) {
        usual[i] = is_usual(all, i);
        if (!usual[i])
            continue;
        count++;
        const uint8_t *packet = all->data + all->start[i];
        int32_t header = tcp_header_bytes(packet), payload_at = TCP_AT + header;
        int32_t ip_bytes = big16(packet + IP_AT + 2);
        int32_t captured = least(all->captured[i], IP_AT + ip_bytes); /* without a trailer */
        if (to->eth_dst)
            look_up(macs, big64(packet), big32(packet + 8), &to->eth_dst[i], &to->eth_src[i]);
        if (to->ip_src)
            look_up(ips, big64(packet + IP_AT + 12), 0, &to->ip_src[i], &to->ip_dst[i]);
        put_ip(to, i, packet + IP_AT);
        put_tcp(to, i, packet + TCP_AT);
        PUT(tcp_header_bytes, header);
        PUT(tcp_payload_bytes, ip_bytes - 20 - header);
        put_options(to, i, packet + HEADERS_BYTES, header - 20,
                    least(header - 20, captured - HEADERS_BYTES), others);
        PUT(payload_start, all->start[i] + payload_at);
        PUT(payload_length, captured > payload_at ? captured - payload_at : 0);
    }
    return count;
}
