# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Reads types.txt, then a header dumped by bpftool, and prints a header with the listed types and fields only.
#
# The dump has one declaration a line, inner levels indented by tabs; that is all that is relied on.

function fail(message) {
	print "generate: " message > "/dev/stderr"
	failed = 1
	exit 1
}

# --- types.txt ---

FNR == 1 { file++ }
file == 1 && (/^[ \t]*#/ || /^[ \t]*$/) { next }
file == 1 {
	if ($1 == "typedef") {
		for (i = 2; i <= NF; i++)
			typedefs[++n_typedefs] = $i
		next
	}
	if ($0 !~ /^((struct|union) [a-zA-Z0-9_]+|enum( [a-zA-Z0-9_]+)?):/)
		fail("types.txt, line " FNR ": not understood: " $0)
	name = $0
	sub(/:.*/, "", name)
	members = $0
	sub(/^[^:]*:[ \t]*/, "", members)
	if (name ~ /^enum/) {
		enums[++n_enums] = name
		enum_values[n_enums] = members
	} else {
		records[++n_records] = name
		fields[name] = members
	}
	next
}

# --- the dump ---

# typedef TYPE NAME; (those with braces, parentheses or arrays are not needed, and passed over)
/^typedef [A-Za-z0-9_ *]+;$/ {
	definition = $0
	name = $0
	sub(/;$/, "", name)
	sub(/^.*[ *]/, "", name)
	typedef_of[name] = definition
	next
}

# A value of an enum is unique in the kernel, so its enum's name need not be looked at.
/^\t[A-Za-z_][A-Za-z0-9_]* = -?[0-9]+,$/ {
	value_of[$1] = $3
	sub(/,$/, "", value_of[$1])
	next
}

/^(struct|union) [a-zA-Z0-9_]+ \{$/ {
	record = $1 " " $2
	wanted = record in fields
	if (wanted)
		seen[record] = 1
	depth = 0
	n = 0
	next
}
!wanted { next }
/^}/ {
	# First occurrence: the kernel repeats fields in named groups.
	for (i = 1; i <= n; i++)
		if (!((record, names[i]) in declaration))
			declaration[record, names[i]] = texts[i]
	wanted = 0
	next
}
/\{$/ {
	begin[++depth] = n
	next
}
/^\t+}/ {
	# What a named inner struct holds are not fields of this one.
	if ($0 !~ /^\t+};$/)
		n = begin[depth]
	depth--
	next
}
{
	text = $0
	sub(/^\t+/, "", text)
	name = text
	sub(/;$/, "", name)
	sub(/:.*$/, "", name)
	sub(/(\[[0-9]*\])+$/, "", name)
	sub(/^.*[ *]/, "", name)
	names[++n] = name
	texts[n] = text
}

# --- the header ---

# Typedefs that a declaration names, innermost first.
function need_typedefs(text,    words, count, i) {
	gsub(/[^A-Za-z0-9_]+/, " ", text)
	count = split(text, words, " ")
	for (i = 1; i <= count; i++)
		if (words[i] in typedef_of && !(words[i] in printed)) {
			printed[words[i]] = 1
			need_typedefs(typedef_of[words[i]])
			print typedef_of[words[i]]
		}
}

# The struct or union that a declaration names, or nothing.
function record_in(text) {
	return match(text, /^(const )?(struct|union) [A-Za-z0-9_]+/) ? substr(text, RSTART, RLENGTH) : ""
}

# A type after those that it holds; those that it only points to are declared.
function emit(record,    count, list, i, text, inner) {
	if (record in printed)
		return
	printed[record] = 1
	count = split(fields[record], list, " ")
	if (!count) {
		body = body "\n" record ";\n"
		return
	}
	if (!(record in seen))
		fail("this kernel has no " record)
	for (i = 1; i <= count; i++) {
		if (!((record, list[i]) in declaration))
			fail("this kernel's " record " has no field " list[i])
		inner = record_in(declaration[record, list[i]])
		sub(/^const /, "", inner)
		if (inner == "" || inner == record)
			continue
		if (inner in fields)
			emit(inner)
		else if (declaration[record, list[i]] !~ /\*/)
			fail(record " holds a " inner ": list it in types.txt, too")
		else if (!(inner in printed)) {
			printed[inner] = 1
			body = body "\n" inner ";\n"
		}
	}
	body = body "\n" record " {\n"
	for (i = 1; i <= count; i++)
		body = body "\t" declaration[record, list[i]] "\n"
	body = body "};\n"
}

END {
	if (failed)
		exit 1
	print "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */"
	print "/*"
	print " * The kernel types that src/bpf uses. Made by vmlinux/generate from the BTF of"
	print " * " source "; do not edit: change types.txt and run it again."
	print " */"
	print "#ifndef __VMLINUX_H__"
	print "#define __VMLINUX_H__"
	print ""
	for (i = 1; i <= n_typedefs; i++) {
		if (!(typedefs[i] in typedef_of))
			fail("this kernel has no typedef " typedefs[i])
		need_typedefs(typedefs[i])
	}
	for (i = 1; i <= n_records; i++) {
		count = split(fields[records[i]], list, " ")
		for (k = 1; k <= count; k++)
			if ((records[i], list[k]) in declaration)
				need_typedefs(declaration[records[i], list[k]])
	}
	for (i = 1; i <= n_enums; i++) {
		print ""
		print enums[i] " {"
		count = split(enum_values[i], list, " ")
		for (k = 1; k <= count; k++) {
			if (!(list[k] in value_of))
				fail("this kernel has no enum value " list[k])
			print "\t" list[k] " = " value_of[list[k]] ","
		}
		print "};"
	}
	print ""
	print "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)"
	for (i = 1; i <= n_records; i++)
		emit(records[i])
	print body
	print "#pragma clang attribute pop"
	print ""
	print "#endif /* __VMLINUX_H__ */"
}
