# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Draws what a terminal shows as SVG: text with the escape codes of bold, dim, red and green on standard input.
# Lines that begin with "$ " are commands. `title` (-v) is read to those who cannot see the picture.

BEGIN {
    # Pixels: of a character, of a line, around the text, and of the bar above it.
    character = 7.8
    line = 18
    margin = 16
    bar = 28
    widest = 80
}

function escaped(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    return text
}

# A piece of a line, in the style that is on.
function piece(text) {
    columns += length(text)
    if (style == "") {
        return escaped(text)
    }
    return "<tspan class=\"" style "\">" escaped(text) "</tspan>"
}

function style_of(code) {
    if (code == "1") return "bold"
    if (code == "2") return "dim"
    if (code == "31") return "worse"
    if (code == "32") return "better"
    if (code == "" || code == "0") return ""
    print "terminal-svg: unknown escape code " code >"/dev/stderr"
    failed = 1
    exit 1
}

{
    sub(/\r$/, "")
    drawn = ""
    columns = 0
    style = substr($0, 1, 2) == "$ " ? "bold" : ""
    rest = $0
    while (match(rest, /\033\[[0-9;]*m/)) {
        if (RSTART > 1) {
            drawn = drawn piece(substr(rest, 1, RSTART - 1))
        }
        style = style_of(substr(rest, RSTART + 2, RLENGTH - 3))
        rest = substr(rest, RSTART + RLENGTH)
    }
    if (rest != "") {
        drawn = drawn piece(rest)
    }
    lines[NR] = drawn
    lengths[NR] = columns
    if (columns > widest) {
        widest = columns
    }
}

END {
    if (failed) {
        exit 1
    }
    if (NR == 0) {
        print "terminal-svg: nothing to draw" >"/dev/stderr"
        exit 1
    }
    width = widest * character + 2 * margin
    height = bar + NR * line + 2 * margin
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n", \
        width, height, width, height
    print "<!-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause. Made by `make picture`. -->"
    printf "<title>%s</title>\n", escaped(title)
    print "<style>"
    print "text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #d5dae1; white-space: pre }"
    print ".bold { font-weight: bold; fill: #ffffff }"
    print ".dim { fill: #8b949e }"
    print ".worse { fill: #ff7b72 }"
    print ".better { fill: #7ee787 }"
    print "</style>"
    # Its own dark ground and a border, so that it looks the same on light and dark pages.
    printf "<rect x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#161b22\" stroke=\"#6e7681\"/>\n", \
        width - 1, height - 1
    split("#ff5f57 #febc2e #28c840", lights, " ")
    for (i = 1; i <= 3; i++) {
        printf "<circle cx=\"%d\" cy=\"16\" r=\"5\" fill=\"%s\"/>\n", margin + 2 + (i - 1) * 18, lights[i]
    }
    for (i = 1; i <= NR; i++) {
        if (lengths[i] > 0) {
            # The length holds columns in place, whatever monospace font there is.
            printf "<text x=\"%d\" y=\"%d\" textLength=\"%.1f\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">%s</text>\n", \
                margin, bar + margin + i * line - 5, lengths[i] * character, lines[i]
        }
    }
    print "</svg>"
}
