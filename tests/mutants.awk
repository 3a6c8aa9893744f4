# Finds the places of taskrt.h to break, and breaks one. See mutants.sh.
#
# mode=list: one line a place, fields separated by tabs:
#     key      FUNCTION:WHAT:N, N counts what looks the same in that function: the same after lines have moved
#     hash     of the function's code, without comments and white space
#     kind     order, fence, wake or recheck
#     line     of taskrt.h
#     column   and
#     length   of what is replaced, 0 for a call: as far as its parenthesis closes
#     what     the macro or function, and for an order the order
#     steps    what it is replaced by. Orders: WEAKER|WEAKER,WEAKER|...: the next step only if all of the last survived
#     where    lines of its call, first and last, and the first of its statement: A-B-S. gcov knows some of them
#     why      the explanation beside it, if there is one: what follows `order:` in a comment on the line, or in the
#              comment that ends on the line before
# mode=apply: the file with what is at `line`, `column`, `length` replaced by `to`.
# mode=switch: the file with every place but the orders broken if model_broken(N) says so, the Nth line of the list
function masked(s,    out, i, j) { # the same length, with blanks for comments, strings and characters
    out = ""
    while (s != "") {
        if (in_comment) {
            i = index(s, "*/")
            if (!i) { comment = comment " " s; return out sprintf("%" length(s) "s", "") }
            comment = comment " " substr(s, 1, i - 1)
            out = out sprintf("%" (i + 1) "s", "")
            s = substr(s, i + 2)
            in_comment = 0
            ended = 1
        } else if (match(s, /"([^"\\]|\\.)*"|'([^'\\]|\\.)+'|\/\*|\/\//)) {
            j = RSTART
            out = out substr(s, 1, j - 1)
            if (substr(s, j, 2) == "//") return out sprintf("%" (length(s) - j + 1) "s", "")
            if (substr(s, j, 2) == "/*") {
                in_comment = 1
                comment = ""
                out = out "  "
                s = substr(s, j + 2)
            } else {
                out = out sprintf("%" RLENGTH "s", "")
                s = substr(s, j + RLENGTH)
            }
        } else {
            return out s
        }
    }
    return out
}
function reason(s) { # of a comment
    if (!match(s, /order: /)) return ""
    s = substr(s, RSTART + 7)
    gsub(/[ \t]+\*?[ \t]*/, " ", s)
    sub(/ $/, "", s)
    return s
}
# The end of the call whose name starts at line l, column c: sets end_line, end_column.
function call_end(l, c,    depth, s, ch, n) {
    depth = 0
    for (; l <= lines; l++) {
        s = code[l]
        n = length(s)
        for (; c <= n; c++) {
            ch = substr(s, c, 1)
            if (ch == "(") depth++
            else if (ch == ")" && --depth == 0) { end_line = l; end_column = c; return 1 }
        }
        c = 1
    }
    return 0
}
function put(l, c, s) { puts[l]++; put_at[l, puts[l]] = c; put_text[l, puts[l]] = s }
function place(kind, l, c, n, what, steps, first, last,    key, why, broken, original) {
    places++
    if (mode == "switch") {
        broken = "model_broken(" places ")"
        if (kind == "order") return
        original = substr(code[l], c, n)
        if (!n) {
            put(l, c, "(" broken " ? " steps " : (void)")
            put(end_line, end_column + 1, ")")
        } else if (match(original, /^(if|while) \(/) && original !~ /;$/) {
            put(l, c + RLENGTH, "!" broken " && ")
        } else if (original ~ /;$/) {
            put(l, c, "if (" broken ") { " steps " } else { ")
            put(l, c + n, " }")
        } else {
            put(l, c, "(" broken " ? (" steps ") : (")
            put(l, c + n, "))")
        }
        return
    }
    key = in_function[l] ":" what
    gsub(/ /, "_", key)
    key = key ":" ++times[key]
    why = reasons[l] != "" ? reasons[l] : reasons[statement(l)] != "" ? reasons[statement(l)] : above[statement(l)]
    print key "\t" hash[in_function[l]] "\t" kind "\t" l "\t" c "\t" n "\t" what "\t" steps "\t" first "-" last "-" statement(first) "\t" why
}
# The first line of the statement that goes on in line l.
function statement(l) {
    while (l > 1 && code[l - 1] !~ /[;{}:][ \t]*$|^[ \t]*$|^[ \t]*(else|do)[ \t]*$/ && code[l - 1] !~ /^#/) l--
    return l
}
function weaker(name, order) {
    if (order == "acquire" || order == "release") return "relaxed"
    if (order == "acq_rel") return "acquire,release"
    if (order != "seq_cst") return ""
    if (name == "TRT_LOAD_") return "acquire|relaxed"
    if (name == "TRT_STORE_") return "release|relaxed"
    return "acq_rel|acquire,release"
}
function orders(l,    s, c, name, order, at) {
    s = code[l]
    c = 0
    while (match(s, /TRT_(LOAD|STORE|SWAP|ADD|SUB|OR|AND|CAS|CAS_WEAK)_\(/)) {
        c += RSTART
        name = substr(code[l], c, RLENGTH - 1)
        s = substr(code[l], c + 1)
        if (!call_end(l, c)) continue
        at = end_column
        order = substr(code[end_line], 1, at - 1)
        if (!match(order, /[a-z_]+$/)) continue
        order = substr(order, RSTART)
        if (weaker(name, order) != "")
            place("order", end_line, at - length(order), length(order), name " " order, weaker(name, order), l, end_line)
    }
}
function calls(l, kind, names,    s, c, name) {
    s = code[l]
    c = 0
    while (match(s, names)) {
        c += RSTART + 1
        name = substr(code[l], c, RLENGTH - 2)
        s = substr(code[l], c)
        call_end(l, c)
        place(kind, l, c, 0, name, "((void)0)", l, end_line)
    }
}

{ text[NR] = $0 }
END {
    lines = NR
    if (mode == "apply") {
        for (l = 1; l < line; l++) print text[l]
        s = text[line]
        if (!size) {
            in_comment = 0
            for (l = line; l <= lines && l < line + 20; l++) code[l] = masked(text[l])
            call_end(line, column)
            printf "%s%s", substr(s, 1, column - 1), to
            for (l = line; l < end_line; l++) print ""
            print substr(text[end_line], end_column + 1)
            line = end_line
        } else {
            print substr(s, 1, column - 1) to substr(s, column + size)
        }
        for (l = line + 1; l <= lines; l++) print text[l]
        exit
    }
    for (l = 1; l <= lines; l++) {
        was = in_comment
        ended = 0
        code[l] = " " masked(text[l])
        code[l] = substr(code[l], 2)
        if (ended || in_comment) {
            if (ended && code[l] ~ /[^ \t]/) reasons[l] = reason(comment)
            if (ended && code[l] !~ /[^ \t]/) above[l + 1] = reason(comment)
        }
    }
    # Functions: from a line that begins with a word and has a parenthesis, to the next `}` in front.
    for (l = 1; l <= lines; l++) {
        if (text[l] ~ /^ \* >>os/) from = l
        if (text[l] ~ /^ \* >>license/) { to_line = l; break }
        if (code[l] ~ /^[A-Za-z][^;=]*\(/ && code[l] !~ /;[ \t]*$/) {
            name = code[l]
            sub(/\(.*/, "", name)
            sub(/^.*[^A-Za-z0-9_]/, "", name)
            now = name
        }
        in_function[l] = now
        if (now != "") {
            s = code[l]
            gsub(/[ \t]/, "", s)
            all[now] = all[now] s
        }
        if (code[l] ~ /^}/ || code[l] ~ /^[A-Za-z].*}[ \t]*$/) now = ""
    }
    for (i = 1; i < 128; i++) number[sprintf("%c", i)] = i
    for (name in all) {
        h = 7
        n = length(all[name])
        for (i = 1; i <= n; i++) h = (h * 31 + number[substr(all[name], i, 1)]) % 2147483647
        hash[name] = h
    }
    names = "[^A-Za-z0-9_](" wakes ")\\("
    for (l = from; l < to_line; l++) {
        if (code[l] ~ /^#/ || code[l - 1] ~ /^#.*\\$/) continue
        orders(l)
        if (code[l] ~ /^[A-Za-z]/ && code[l] !~ /}[ \t]*$/) continue
        calls(l, "fence", "[^A-Za-z0-9_](TRT_FENCE_)\\(")
        calls(l, "wake", names)
        if (code[l] ~ /^ +TRT_ADD_\(&[^,]*(gate_?|changed|exited),/) calls(l, "wake", "[ ]TRT_ADD_\\(")
    }
    # The re-checks are a list: FUNCTION@TEXT@REPLACEMENT, one a line, or FUNCTION#N@... for the Nth of them.
    n = split(rechecks, list, "\n")
    for (i = 1; i <= n; i++) {
        if (list[i] == "") continue
        split(list[i], part, "@")
        found = 0
        nth = split(part[1], where, "#") > 1 ? where[2] : 1
        for (l = from; l < to_line && !found; l++) {
            if (in_function[l] != where[1] || !(c = index(code[l], part[2])) || --nth) continue
            found = 1
            what = part[2]
            gsub(/\t/, " ", what)
            place("recheck", l, c, length(part[2]), what, part[3] == "" ? ";" : part[3], l, l)
        }
        if (!found && mode == "list") print "lost\t" list[i]
    }
    if (mode != "switch") exit
    for (l = 1; l <= lines; l++) {
        s = text[l]
        while (puts[l]) { # from the right
            for (i = at = 1; i <= puts[l]; i++) if (put_at[l, i] > put_at[l, at]) at = i
            s = substr(s, 1, put_at[l, at] - 1) put_text[l, at] substr(s, put_at[l, at])
            put_at[l, at] = put_at[l, puts[l]]
            put_text[l, at] = put_text[l, puts[l]--]
        }
        print s
    }
}
