# Makes the small page from the large one.
set -eu

mkdir -p /out/www/kept /out/tls
install -m 600 /given/site.key /out/tls
cp /given/site.pem /out/tls
cp /work/index.html /out/www

cd /given/page
# one style sheet, without the rules that nothing uses, and without what imports cost
cat css/reset.css css/layout.css css/theme.css | grep -v -e '^@import' -e '^\.[a-z]*-[0-9]* ' > /out/www/kept/style.css
# one script, with the one function of the library that it uses
{ sed -n '/^function on(/,$p' js/library.js; cat js/page.js; } > /out/www/kept/page.js

# pictures as small as they are shown, and packed
python3 - <<'END'
import struct, zlib
from pathlib import Path

SIDE = 120


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


for path in sorted(Path("pictures").glob("*.bmp")):
    bitmap = path.read_bytes()
    start, width = struct.unpack_from("<I", bitmap, 10)[0], struct.unpack_from("<i", bitmap, 18)[0]
    step, stride = width // SIDE, (3 * width + 3) // 4 * 4
    rows = []
    for y in range(SIDE):
        row = start + (width - 1 - y * step) * stride  # the lowest row comes first
        pixels = (bitmap[row + 3 * x * step :][:3][::-1] for x in range(SIDE))
        rows.append(b"\0" + b"".join(pixels))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    png = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(rows), 9)) + chunk(b"IEND", b"")
    Path("/out/www/kept", f"{path.stem}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
END
