-- JSON texts that must be accepted, and ones that must be refused and why. Each has a name of its own.

local accepted, refused = {}, {}

local function accept(name, text)
    accepted[#accepted + 1] = { name = name, text = text }
end

local function refuse(name, fault, text)
    refused[#refused + 1] = { name = name, fault = fault, text = text }
end

-- Structure

accept("an empty array", "[]")
accept("an empty object", "{}")
accept("an empty array with a blank inside", "[ ]")
accept("an empty object with all four blanks inside", "{ \t\r\n}")
accept("all four blanks around everything", "\t\r\n [\t\r\n 1\t\r\n ,\t\r\n 2\t\r\n ]\t\r\n ")
accept("all four blanks around the parts of a member", '{\t\r\n "a"\t\r\n :\t\r\n 1\t\r\n ,\t\r\n "b"\t\r\n :\t\r\n 2\t\r\n }')
accept("one member", '{"a":1}')
accept("a wanted member that holds another", '{"b":{"a":"inner","c":1}}')
accept("a wanted member twice at different levels", '{"a":{"a":1},"b":{"a":{"a":2}}}')
accept("objects in arrays in objects", '{"x":[{"y":[{"z":[]}]}]}')
accept("arrays in arrays", "[[],[[]],[[],[]]]")
accept("literals side by side", "[true,false,null,true,false,null]")
accept("every kind of value", '[{},[],"s",0,-1.5e+3,true,false,null]')
accept("a top level string", '"text"')
accept("a top level empty string", '""')
accept("a top level zero", "0")
accept("a top level number", "-12.5e-3")
accept("a top level number before a blank", "42 ")
accept("a top level true", "true")
accept("a top level false", "false")
accept("a top level null between blanks", " null\n")
accept("an empty key", '{"":0}')
accept("an empty key beside another", '{"":0,"a":1}')
accept("a key that looks like JSON", [[{"{\"a\":[1]}":0}]])
accept("a key of 1000 bytes", '{"' .. ("k"):rep(1000) .. '":1}')
accept("a key of 63 bytes", '{"' .. ("k"):rep(63) .. '":1}')
accept("a key of 65 bytes that begins like a wanted one", '{"a' .. ("a"):rep(64) .. '":1}')
accept("the same key in siblings", '[{"a":1},{"a":1}]')
accept("the same key in parent and child", '{"a":{"a":{"a":0}}}')
accept("the same key in a child and after it", '{"c":{"a":1},"a":2}')
accept("keys that differ in case", '{"a":1,"A":2}')
accept("keys of which one is the other's beginning", '{"a":1,"aa":2,"aaa":3}')
accept("keys with a NUL of difference", [[{"a":1,"a\u0000":2,"\u0000a":3}]])
accept("keys with the same letters in another order", '{"ab":1,"ba":2}')
accept("a composed and a decomposed key", '{"\195\169":1,"e\204\129":2}')
accept("a full width key beside a half width one", '{"a":1,"\239\189\129":2}')
accept("127 levels of arrays", ("["):rep(127) .. ("]"):rep(127))
accept("128 levels of arrays", ("["):rep(128) .. ("]"):rep(128))
accept("128 levels of objects", ('{"a":'):rep(127) .. "{}" .. ("}"):rep(127))
accept("128 levels of both in turn", ('[{"k":'):rep(63) .. "[[1]]" .. ("}]"):rep(63))
accept("128 levels twice", "[" .. ("["):rep(127) .. ("]"):rep(127) .. "," .. ("["):rep(127) .. ("]"):rep(127) .. "]")

-- Numbers

for _, number in ipairs({
    "0", "-0", "1", "-1", "10", "100", "9", "1234567890", "0.0", "-0.0", "0.5", "10.01", "0e0", "0E0", "0e+0", "0e-0", "1e1", "1E+2",
    "1e-3", "1.5e300", "0.1e01", "1e00", "1.0E+09", "9007199254740993", "9223372036854775807", "18446744073709551616", "-9223372036854775809",
    "0.30000000000000004", "1e400", "-1e400", "1e-400", "1e999999999999", "0.000000000000000000000000000000001", "20.0",
}) do
    accept("number " .. number, "[" .. number .. "]")
end
accept("a number of 400 digits", "[" .. ("1234567890"):rep(40) .. "]")
accept("a fraction of 400 digits", "[0." .. ("9876543210"):rep(40) .. "]")
accept("an exponent of 400 digits", "[1e" .. ("0"):rep(399) .. "1]")
accept("numbers as the values of wanted members", '{"a":12,"b":-3.5}')
accept("a number right before a brace", '{"a":0}')
accept("numbers apart by a comma only", "[0,-0,0.0,0e1]")

-- Strings

accept("every short escape", [==["\"\\\/\b\f\n\r\t"]==])
accept("every ASCII character that needs no escape", '"' .. (function()
    local all = {}
    for code = 0x20, 0x7F do
        if code ~= 0x22 and code ~= 0x5C then
            all[#all + 1] = string.char(code)
        end
    end
    return table.concat(all)
end)() .. '"')
accept("DEL unescaped", '["\127"]')
accept("a solidus unescaped", '["/"]')
accept("an escaped NUL", [==["\u0000"]==])
accept("an escaped control character", [==["\u001f"]==])
accept("escapes in lower case", [==["\u00e9\uabcd"]==])
accept("escapes in upper case", [==["\u00E9\uABCD"]==])
accept("escapes in mixed case", [==["\u00eF\uaBcD"]==])
accept("an escaped quote", [==["\u0022"]==])
accept("an escaped backslash", [==["\u005C"]==])
accept("two backslashes before the end", [==["\\"]==])
accept("two backslashes, then what would be an escape", [==["\\u12"]==])
accept("an escaped quote before the end", [==["\\\""]==])
accept("an escaped pair", [==["\ud83d\ude00"]==])
accept("an escaped pair in mixed case", [==["\uD83d\uDe00"]==])
accept("the first escaped pair", [==["\uD800\uDC00"]==])
accept("the last escaped pair", [==["\uDBFF\uDFFF"]==])
accept("two escaped pairs side by side", [==["\ud83d\ude00\ud83d\ude01"]==])
accept("the last unit before the surrogates, escaped", [==["\uD7FF"]==])
accept("the first unit after the surrogates, escaped", [==["\uE000"]==])
accept("an escaped byte order mark", [==["\uFEFF"]==])
accept("escaped noncharacters", [==["\uFFFE\uFFFF\uFDD0"]==])
accept("an escape right after an escape", [==["\n\u000a\n"]==])
accept("an escape in a key", [==[{"\u0061":1}]==])
accept("a pair in a key", [==[{"\ud83d\ude00":1}]==])
accept("a wanted string with an escape at its end", [==[{"a":"x\n"}]==])
accept("two-byte sequences at both ends", '["\194\128\223\191"]')
accept("three-byte sequences at both ends", '["\224\160\128\239\191\191"]')
accept("the last before and the first after the surrogates", '["\237\159\191\238\128\128"]')
accept("four-byte sequences at both ends", '["\240\144\128\128\244\143\191\191"]')
accept("every lead byte of three", '["\224\160\128\225\128\128\226\128\128\234\128\128\236\191\191\237\128\128\238\128\128\239\128\128"]')
accept("every lead byte of four", '["\240\144\128\128\241\128\128\128\242\128\128\128\243\191\191\191\244\128\128\128"]')
accept("Chinese", '["\228\189\160\229\165\189\239\188\140\228\184\150\231\149\140"]')
accept("Chinese in a key", '{"\230\168\161\229\158\139":"\231\148\178"}')
accept("a four-byte sequence in a key", '{"\240\159\152\128":1}')
accept("Chinese and English in turn", '["a\228\189\160b\229\165\189c"]')
accept("an emoji of several code points", '["\240\159\145\169\226\128\141\240\159\146\187"]')
accept("a byte order mark inside a string", '["\239\187\191"]')
accept("noncharacters", '["\239\191\190\239\191\191\240\159\191\191"]')
accept("line and paragraph separators", '["\226\128\168\226\128\169"]')
accept("a zero width space between letters", '["a\226\128\139b"]')
accept("a right-to-left override", '["\226\128\174abc"]')
accept("a string of 300 bytes", '["' .. ("x"):rep(300) .. '"]')
accept("a string of 100 escapes", '["' .. ("\\u4f60"):rep(100) .. '"]')
accept("brackets and commas in a string", [==["[,]{:}"]==])
accept("a comment in a string", [==["/* no */ // no"]==])

-- Duplicate keys

refuse("a key twice", "duplicate", '{"a":1,"a":2}')
refuse("a key twice with the same value", "duplicate", '{"a":1,"a":1}')
refuse("a key twice with others between", "duplicate", '{"a":1,"b":2,"c":3,"a":4}')
refuse("an empty key twice", "duplicate", '{"":1,"":2}')
refuse("a key twice, once escaped", "duplicate", [[{"a":1,"\u0061":2}]])
refuse("a key twice, both escaped in different case", "duplicate", [[{"\u004A":1,"\u004a":2}]])
refuse("model twice, once with one escape", "duplicate", [[{"model":"a","mod\u0065l":"b"}]])
refuse("a slash twice, once escaped", "duplicate", [[{"/":1,"\/":2}]])
refuse("a line feed twice, short and long", "duplicate", [[{"\n":1,"\u000a":2}]])
refuse("a two-byte key twice, once escaped", "duplicate", '{"\195\169":1,"\\u00e9":2}')
refuse("a Chinese key twice, once escaped", "duplicate", '{"\228\189\160":1,"\\u4f60":2}')
refuse("a four-byte key twice, once as a pair", "duplicate", '{"\240\159\152\128":1,"\\uD83D\\uDE00":2}')
refuse("a key twice in a child", "duplicate", '{"x":{"a":1,"a":2}}')
refuse("a key twice in an array's object", "duplicate", '[[{"a":1,"a":2}]]')
refuse("a key twice around a child with the same key", "duplicate", '{"a":{"a":1},"a":2}')
refuse("a key twice around an array of objects", "duplicate", '{"a":[{"a":1},{"a":1}],"b":[],"a":2}')
refuse("a long key twice", "duplicate", '{"' .. ("k"):rep(200) .. '":1,"' .. ("k"):rep(200) .. '":1}')
refuse("a key twice at level 128", "duplicate", ("["):rep(127) .. '{"a":1,"a":2}' .. ("]"):rep(127))
refuse("a key twice with 100 between", "duplicate", (function()
    local members = {}
    for index = 1, 100 do
        members[index] = ('"k%d":0'):format(index)
    end
    return '{"twice":0,' .. table.concat(members, ",") .. ',"twice":0}'
end)())

-- Depth

refuse("129 levels of arrays", "depth", ("["):rep(129) .. ("]"):rep(129))
refuse("129 levels of objects", "depth", ('{"a":'):rep(128) .. "{}" .. ("}"):rep(128))
refuse("129 open brackets", "depth", ("["):rep(129))
refuse("the 129th level after a sibling", "depth", ("["):rep(127) .. "[],[[]]" .. ("]"):rep(127))

-- Ends

refuse("nothing", "incomplete", "")
refuse("only blanks", "incomplete", " \t\r\n")
for _, cut in ipairs({
    "[", "{", '"', "-", "1.", "1e", "1e+", "[1", "[1,", '["a"', '["a",', '{"', '{"a', '{"a"', '{"a":', '{"a":1', '{"a":1,', "[[]", "[{}", '{"a":{}',
    "t", "tru", "f", "fals", "n", "nul", "[nul", '"\\', '"\\u', '"\\u0', '"\\u00', '"\\u004', '"\\ud800', '"\\ud800\\', '"\\ud800\\u',
    '"\\ud800\\udc0', '"\228', '"\228\189', '"\240\159\152', '"abc', '"\\"', '{"\\u006', '{"\228\189',
}) do
    refuse("the end after " .. cut:gsub("[\128-\255]", function(byte) return ("<%02X>"):format(byte:byte()) end), "incomplete", cut)
end

-- Grammar

for name, text in pairs({
    ["a comma in an empty array"] = "[,]",
    ["a comma before the first element"] = "[,1]",
    ["a comma after the last element"] = "[1,]",
    ["two commas"] = "[1,,2]",
    ["no comma between elements"] = "[1 2]",
    ["no comma between strings"] = '["a" "b"]',
    ["no comma between literals"] = "[true false]",
    ["a semicolon between elements"] = "[1;2]",
    ["a colon between elements"] = '["a":1]',
    ["a brace that closes an array"] = "[1}",
    ["a bracket that closes an object"] = '{"a":1]',
    ["a brace that closes an empty array"] = "[}",
    ["a bracket that closes an empty object"] = "{]",
    ["a closing bracket alone"] = "]",
    ["a closing brace alone"] = "}",
    ["a comma alone"] = ",",
    ["a colon alone"] = ":",
    ["one bracket too many"] = "[]]",
    ["one brace too many"] = "{}}",
    ["a second document"] = "{}{}",
    ["a second number"] = "1 2",
    ["a second literal"] = "null null",
    ["a word after the document"] = "[]x",
    ["a comma after the document"] = "[],",
    ["a number after a string"] = '""0',
    ["a comma in an empty object"] = "{,}",
    ["a comma before the first member"] = '{,"a":1}',
    ["a comma after the last member"] = '{"a":1,}',
    ["two commas between members"] = '{"a":1,,"b":2}',
    ["no comma between members"] = '{"a":1 "b":2}',
    ["no colon"] = '{"a" 1}',
    ["two colons"] = '{"a"::1}',
    ["a comma for a colon"] = '{"a",1}',
    ["an equals sign for a colon"] = '{"a"=1}',
    ["no value"] = '{"a":}',
    ["no value before a comma"] = '{"a":,"b":1}',
    ["no key"] = "{:1}",
    ["a value alone in an object"] = '{"a"}',
    ["a bare key"] = "{a:1}",
    ["a key in single quotes"] = "{'a':1}",
    ["a number for a key"] = "{1:1}",
    ["a literal for a key"] = "{null:1}",
    ["an array for a key"] = "{[]:1}",
    ["a string in single quotes"] = "['a']",
    ["a string in back quotes"] = "[`a`]",
    ["a line comment"] = "[1]//x",
    ["a block comment"] = "[1/**/]",
    ["a hash comment"] = "#x\n[]",
    ["a form feed for a blank"] = "[\f]",
    ["a vertical tab for a blank"] = "[1,\v2]",
    ["a NUL for a blank"] = "[1\0]",
    ["a NUL after the document"] = "[]\0",
    ["a NUL before the document"] = "\0[]",
    ["a no-break space for a blank"] = "[\194\160]",
    ["an ideographic space for a blank"] = "[1,\227\128\1282]",
    ["a line separator for a blank"] = "[\226\128\168]",
    ["a byte order mark"] = "\239\187\191{}",
    ["a byte order mark alone"] = "\239\187\191",
    ["a byte order mark after the document"] = "{}\239\187\191",
    ["UTF-16"] = "\0[\0]",
    ["UTF-16, little end first"] = "[\0]\0",
    ["UTF-16 with its mark"] = "\254\255\0[\0]",
    ["an escape outside of a string"] = "[\\n]",
    ["an escaped blank"] = "\\u0020[]",
    ["True"] = "[True]",
    ["TRUE"] = "[TRUE,1]",
    ["Null"] = "Null",
    ["nul with another letter"] = "[nulx]",
    ["tru with another letter"] = "[trux]",
    ["fals with another letter"] = "[falsx]",
    ["f with other letters"] = "[fxxxx]",
    ["trueish"] = "[truely]",
    ["literals stuck together"] = "[truefalse]",
    ["a literal stuck to a number"] = "[true1]",
    ["a literal stuck to a string"] = '[null""]',
    ["undefined"] = "undefined",
    ["NaN"] = "[NaN]",
    ["-NaN"] = "[-NaN]",
    ["Infinity"] = "[Infinity]",
    ["-Infinity"] = "[-Infinity]",
    ["a letter alone"] = "x",
    ["an asterisk"] = "[*]",
    ["a stray quote after a string"] = '["a""]',
    ["a byte of UTF-8 outside of a string"] = "[\228\189\160]",
}) do
    refuse(name, "syntax", text)
end

for _, number in ipairs({
    "-", "+1", "++1", "--1", "-+1", ".5", "-.5", "1.", "1.e1", "1.+1", "0.", "0.e1", "00", "01", "-01", "-00", "007", "0x1", "0X1f", "0b1",
    "1_000", "1,000.", "1e", "1E", "1e+", "1e-", "1e+-1", "1e1.5", "1e1e1", "1ee1", "1.2.3", "1..2", "0e", "0e+", "1a", "1.5x", "1e5x", "-a",
    "1-1", "1+1", "- 1", "1 .5", "1. 5", "1e 5", "0 1", "\239\188\145", "1\0", "1f", "1L", "0.1.", "-e1", "-.", "0-",
}) do
    refuse("number " .. number:gsub("[%z\128-\255]", function(byte) return ("<%02X>"):format(byte:byte()) end), "syntax", "[" .. number .. "]")
end
refuse("a top level number with a leading zero", "syntax", "01")
refuse("a top level minus before a blank", "syntax", "- ")
refuse("a top level point before a blank", "syntax", "1. ")

-- What strings may not hold

for code = 0, 31 do
    if code < 2 or code == 8 or code == 9 or code == 10 or code == 13 or code == 27 or code == 31 then
        refuse(("control character %02X in a string"):format(code), "control", '["a' .. string.char(code) .. 'b"]')
        refuse(("control character %02X in a key"):format(code), "control", '{"a' .. string.char(code) .. '":1}')
    end
end
refuse("a control character after Chinese", "control", '["\228\189\160\n"]')
refuse("a control character after an escape", "control", '["\\\\\n"]')

for _, letter in ipairs({ "x", "a", "v", "'", "0", "U", "N", "B", " ", "e", "u" }) do
    refuse("escape \\" .. letter, "escape", '["\\' .. letter .. '    "]')
end
refuse("a backslash before a line feed", "escape", '["\\\n"]')
refuse("a backslash before a NUL", "escape", '["\\\0"]')
refuse("a backslash before a byte of UTF-8", "escape", '["\\\228\189\160"]')
for _, digits in ipairs({ "000", "00G0", "G000", "000g", "0x41", "+041", "-041", " 041", "00 1", "u0041", "{41}", "00:0", "00@0", "00`0", "00/0" }) do
    refuse("escape \\u" .. digits, "escape", '["\\u' .. digits .. '    "]')
end
refuse("a wrong escape in a key", "escape", '{"\\x41":1}')
refuse("an escape with full width digits", "escape", '["\\u\239\188\144041"]')
refuse("a pair whose second unit has no digits", "escape", '["\\ud800\\uXXXX"]')

for _, unit in ipairs({ "\\ud800", "\\uD83D", "\\udbff", "\\udc00", "\\uDFFF" }) do
    refuse("lone surrogate " .. unit, "surrogate", '["' .. unit .. '"]')
    refuse("lone surrogate before text " .. unit, "surrogate", '["' .. unit .. 'abcdef"]')
end
refuse("a pair the wrong way around", "surrogate", [==["\udc00\ud800"]==])
refuse("two second halves", "surrogate", [==["\udc00\udc00"]==])
refuse("two first halves", "surrogate", [==["\ud800\ud800"]==])
refuse("two first halves and a second", "surrogate", [==["\ud800\ud800\udc00"]==])
refuse("a first half and another unit", "surrogate", [==["\ud800\u0041"]==])
refuse("a first half and a short escape", "surrogate", [==["\ud800\n     "]==])
refuse("a first half and an escaped backslash", "surrogate", [==["\ud800\\udc00"]==])
refuse("a first half and a unit past the second halves", "surrogate", [==["\ud800\ue000"]==])
refuse("a lone second half after a pair", "surrogate", [==["\ud800\udc00\udc00"]==])
refuse("a lone surrogate in a key", "surrogate", [==[{"\ud800":1}]==])
refuse("a lone second half in a key", "surrogate", [==[{"\udc00":1}]==])
refuse("a first half before an encoded second", "surrogate", '["\\ud800\237\176\128"]')

for name, bytes in pairs({
    ["a continuation byte alone"] = "\128",
    ["the last continuation byte alone"] = "\191",
    ["C0 80, an overlong NUL"] = "\192\128",
    ["C0 A2, an overlong quote"] = "\192\162",
    ["C1 BF, overlong"] = "\193\191",
    ["E0 80 80, overlong"] = "\224\128\128",
    ["E0 9F BF, overlong"] = "\224\159\191",
    ["F0 80 80 80, overlong"] = "\240\128\128\128",
    ["F0 8F BF BF, overlong"] = "\240\143\191\191",
    ["ED A0 80, an encoded first half"] = "\237\160\128",
    ["ED AF BF, an encoded first half"] = "\237\175\191",
    ["ED B0 80, an encoded second half"] = "\237\176\128",
    ["ED BF BF, an encoded second half"] = "\237\191\191",
    ["an encoded pair"] = "\237\160\189\237\184\128",
    ["F4 90 80 80, past the last code point"] = "\244\144\128\128",
    ["F5"] = "\245\128\128\128",
    ["F8, five bytes"] = "\248\136\128\128\128",
    ["FC, six bytes"] = "\252\132\128\128\128\128",
    ["FE"] = "\254",
    ["FF"] = "\255\255",
    ["two bytes of which the second is a letter"] = "\195x",
    ["three bytes of which the second is a letter"] = "\228xx",
    ["three bytes of which the third is a letter"] = "\228\189x",
    ["four bytes of which the second is a letter"] = "\240xxx",
    ["four bytes of which the third is a letter"] = "\240\159xx",
    ["four bytes of which the fourth is a letter"] = "\240\159\152x",
    ["three bytes of which the third begins another"] = "\228\189\228\189\160",
    ["a second byte of C0"] = "\195\192",
    ["a third byte of C0"] = "\228\189\192",
    ["Latin-1"] = "\233t\233 ",
    ["GBK"] = "\196\227\186\195",
}) do
    refuse("in a string: " .. name, "encoding", '["' .. bytes .. '    "]')
    refuse("in a key: " .. name, "encoding", '{"' .. bytes .. '    ":1}')
    refuse("after Chinese: " .. name, "encoding", '["\228\189\160\229\165\189' .. bytes .. '    "]')
end
refuse("two bytes cut by the quote", "encoding", '["\195"]')

return { accepted = accepted, refused = refused }
