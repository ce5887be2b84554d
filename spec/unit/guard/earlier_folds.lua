-- What characters of which disguises of English and Chinese words are made folded to before marks counted: a frozen sample. `U+…` says of
-- which code point the next one is, `-` that it was ignored. Whatever was found with these must be found for ever.

local LIST = [[
U+0030 0 1 2 3 4 5 6 7 8 9 U+0041 a b c d e f g h i j k l m n o p q r s t u v w x y z U+0061 a b c d e f g h i j k l m
n o p q r s t u v w x y z U+00AA a U+00AD - U+00B2 2 3 U+00B5 m U+00B9 1 o U+00C0 a a a a a a ae c e e e e i i i i
U+00D1 n o o o o o U+00D8 o u u u u y U+00DF ss a a a a a a ae c e e e e i i i i U+00F1 n o o o o o U+00F8 o u u u u y
U+00FF y a a a a a a c c c c c c c c d d d d e e e e e e e e e e g g g g g g g g h h h h i i i i i i i i i i ij ij j j
k k U+0139 l l l l l l U+0141 l l n n n n n n U+014C o o o o o o oe oe r r r r r r s s s s s s s s t t t t t t u u u u
u u u u u u u u w w y y y z z z z z z s b U+0191 f f U+0197 i U+01A0 o o U+01A6 r U+01AF u u U+01B5 z z U+01C4 dz dz
dz lj lj lj nj nj nj a a i i o o u u u u u u u u u u U+01DE a a a a ae ae g g g g k k o o o o U+01F0 j dz dz dz g g
U+01F8 n n a a ae ae o o a a a a e e e e i i i i o o o o r r r r u u u u s s t t U+021E h h U+0226 a a e e o o o o o o
o o y y U+0237 j U+023A a c c U+023E t U+0243 b u U+0246 e e j j U+024C r r y y U+0251 a U+0261 g g U+0268 i U+026A i
U+0274 n U+0280 r U+0289 u U+028F y U+0299 b U+029C h U+029F l U+0300 - - - - - - - - - - - - - - - - - - - - - - - -
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - -
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - U+037F j U+0386 a U+0388 e h i U+038C o U+038E y U+0390 i a
b U+0395 e z h U+0399 i k U+039C m n U+039F o U+03A1 p U+03A4 t y U+03A7 x U+03AA i y a e h i y a b U+03B5 e z h
U+03B9 i k U+03BC m n U+03BF o U+03C1 p U+03C4 t y U+03C7 x U+03CA i y o y U+03D0 b U+03D2 y y y U+03F0 k p U+03F3 j
U+03F5 e U+0400 e e U+0405 s i i j U+040C k U+040E y U+0410 a U+0412 b U+0415 e U+041A k U+041C m h o U+0420 p c t y
U+0425 x U+0430 a U+0432 b U+0435 e U+043A k U+043C m h o U+0440 p c t y U+0445 x U+0450 e e U+0455 s i i j U+045C k
U+045E y U+0474 v v v v U+0483 - - - - - - - U+04AE y y U+04BA h h U+04C0 l U+04CF l a a a a ae ae e e U+04E6 o o
U+04EE y y y y y y U+0500 d d U+050C g g U+051A q q w w U+05B0 - - - - - - - - - - - - - - U+05BF - U+064B - - - - - -
- - - - - - - - - - - - - - - U+0901 - - U+093C - U+0941 - - - - - - - - U+094D - U+0E31 - U+0E34 - - - - - - - U+0E47
- - - - - - - - U+0F71 - - - - - - U+1D00 a U+1D04 c d U+1D07 e U+1D0A j k U+1D0D m U+1D0F o U+1D18 p U+1D1B t u
U+1D20 v w z U+1D2C a ae b U+1D30 d e U+1D33 g h i j k l m n U+1D3C o U+1D3E p r t u w a U+1D45 a U+1D47 b d e U+1D4D
g U+1D4F k m U+1D52 o U+1D56 p t u U+1D5B v U+1D5D b U+1D61 x i r u v b U+1D68 p U+1D6A x U+1D78 h U+1D7D p U+1E00 a a
b b b b b b c c d d d d d d d d d d e e e e e e e e e e f f g g h h h h h h h h h h i i i i k k k k k k l l l l l l l
l m m m m m m n n n n n n n n o o o o o o o o p p p p r r r r r r r r s s s s s s s s s s t t t t t t t t u u u u u u
u u u u v v v v w w w w w w w w w w x x x x y y z z z z z z h t w y U+1E9B s U+1E9E ss U+1EA0 a a a a a a a a a a a a
a a a a a a a a a a a a e e e e e e e e e e e e e e e e i i i i o o o o o o o o o o o o o o o o o o o o o o o o u u u
u u u u u u u u u u u y y y y y y y y U+1F00 a a a a a a a a a a a a a a a a e e e e e e U+1F18 e e e e e e U+1F20 h h
h h h h h h h h h h h h h h i i i i i i i i i i i i i i i i o o o o o o U+1F48 o o o o o o U+1F50 y y y y y y y y
U+1F59 y U+1F5B y U+1F5D y U+1F5F y U+1F70 a a e e h h i i o o y y U+1F80 a a a a a a a a a a a a a a a a h h h h h h
h h h h h h h h h h U+1FB0 a a a a a U+1FB6 a a a a a a a U+1FBE i U+1FC2 h h h U+1FC6 h h e e h h h U+1FD0 i i i i
U+1FD6 i i i i i i U+1FE0 y y y y p p y y y y y y p U+1FF8 o o U+200B - - - - - U+202A - - - - - U+2060 - - - - - - -
- - - - - - - - - 0 i U+2074 4 5 6 7 8 9 U+207F n 0 1 2 3 4 5 6 7 8 9 U+2090 a e o x U+2095 h k l m n p s t U+20D0 - -
- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - U+2102 c U+210A g h h h h h i i l l U+2115 n no U+2119 p
q r r r U+2120 sm tel tm U+2124 z U+2128 z U+212A k a b c e e e f U+2133 m o U+2139 i U+213B fax U+2145 d d e i j
U+2460 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 U+24B6 a b c d e f g h i j k l m n o p q r s t u v w x y z a
b c d e f g h i j k l m n o p q r s t u v w x y z 0 11 12 13 14 15 16 17 18 19 20 1 2 3 4 5 6 7 8 9 10 0 U+3099 - -
U+FE00 - - - - - - - - - - - - - - - - U+FF10 0 1 2 3 4 5 6 7 8 9 U+FF21 a b c d e f g h i j k l m n o p q r s t u v w
x y z U+FF41 a b c d e f g h i j k l m n o p q r s t u v w x y z U+FF9E - - U+1D400 a b c d e f g h i j k l m n o p q
r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x
y z a b c d e f g U+1D456 i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x U+1F130
a b c d e f g h i j k l m n o p q r s t u v w x y z hv mv sd ss ppv wc a b c d e f g h i j k l m n o p q r s t u v w x
y z mc md mr U+1F170 a b c d e f g h i j k l m n o p q r s t u v w x y z
]]

local folds, code_point = {}, 0
for item in LIST:gmatch("%S+") do
    local start = item:match("^U%+(%x+)$")
    if start then
        code_point = tonumber(start, 16)
    else
        folds[code_point] = item == "-" and "" or item
        code_point = code_point + 1
    end
end

return folds
