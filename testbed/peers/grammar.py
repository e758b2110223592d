"""The grammar of packet scripts, for Lark; `notation` makes steps of what it reads."""

GRAMMAR = r"""
start: option* command* [played]
played: step+ command*
option: OPTION ["=" OPTION_VALUE]
command: SHELL
step: time (packet | call | shell | code)

?time: "+" NUMBER -> after
    | NUMBER -> at
    | "*" -> whenever
    | NUMBER "~" NUMBER -> between
    | "+" NUMBER "~" "+" NUMBER -> after_between
shell: SHELL
code: CODE

packet: DIRECTION [ip] (segment | datagram | icmp)
ip: "(" ip_part ("," ip_part)* ")" | "[" ip_part ("," ip_part)* "]"
?ip_part: ECN -> ecn
    | "tos" HEX -> tos
    | "ttl" INT -> ttl
ports: INT ">" INT
range: INT ":" INT "(" INT ")"
segment: [ports] FLAGS range ["ack" INT] ["win" INT] ["urg" INT] [options] [STRING] [BAD_CHECKSUM]
datagram: "udp" [ports] "(" INT ")" [STRING] [BAD_CHECKSUM]
icmp: "icmp" WORD [WORD] ["mtu" INT] ["[" range "]"]
options: "<" "..." ">" -> any_options
    | "<" option_list ">"
option_list: tcp_option ("," tcp_option)*
?tcp_option: "nop" -> nop
    | "eol" -> eol
    | "mss" INT -> mss
    | "wscale" INT -> wscale
    | "sackOK" -> sack_ok
    | "sack" sack_block+ -> sack
    | "TS" "val" INT "ecr" INT -> timestamps
    | "FO" [HEX_DIGITS] -> fast_open
    | "FOEXP" [HEX_DIGITS] -> fast_open_experiment
    | "md5" HEX_DIGITS -> md5
    | "kind" INT [HEX_DIGITS] -> kind
sack_block: INT ":" INT

call: ["..." NUMBER] WORD "(" [arguments] ")" "=" result [WORD] NOTE*
?result: INTEGER -> integer
    | HEX -> hexadecimal
    | "..." -> anything
arguments: expression ("," expression)*
?expression: term | term ("|" term)+ -> either
?term: INTEGER -> integer
    | HEX -> hexadecimal
    | "..." -> anything
    | STRING+ "..."? -> text
    | WORD -> word
    | called
    | "[" [arguments] "]" -> sequence
    | "{" field ("," field)* "}" -> structure
called: WORD "(" [arguments] ")"
?field: expression | name "=" expression -> pair
?name: WORD -> word | called

OPTION: /--[a-zA-Z0-9_]+/
OPTION_VALUE: /[^\s]+/
NUMBER: /\d+\.\d+|\.\d+|\d+/
INT: /\d+/
INTEGER: /-?\d+/
HEX.2: /0x[0-9a-fA-F]+/
HEX_DIGITS: /[0-9a-fA-F]+/
DIRECTION: "<" | ">"
ECN: "noecn" | "ect01" | "ect0" | "ect1" | "ce"
FLAGS: /[FSRPUEWC]*\.|[FSRPUEWC]+|-/
BAD_CHECKSUM: "bad_checksum"
WORD: /[a-zA-Z_]\w*/
STRING: /"(\\(.|\n)|[^"\\])*"/
SHELL: /`(\\(.|\n)|[^`\\])*`/
CODE: /%\{(.|\n)*?\}%/
NOTE: /\([^)\n]*\)/
COMMENT: /\/\/[^\n]*|\/\*(.|\n)*?\*\//
%ignore COMMENT
%ignore /\s+/
"""
