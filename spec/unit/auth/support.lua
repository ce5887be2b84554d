-- What the specs of identity share: keys, tokens, and the real parts that the room is handed.

local cjson = require("cjson.safe")
local crypto = require("sluice.edge.crypto")
local digest = require("openssl.digest")
local hmac = require("openssl.hmac")
local json = require("sluice.wire.json")
local pkey = require("openssl.pkey")
local shape = require("sluice.wire.shape")

local support = {}

local walk = json.walker(shape.compile({}), json.NO_SINK, nil)

support.reader = {
    cryptography = crypto,
    strict_check = function(text) return json.check(walk, text) end,
    decode = cjson.decode,
}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

function support.base64url(bytes)
    local out = {}
    for at = 1, #bytes, 3 do
        local a, b, c = bytes:byte(at, at + 2)
        local value = a * 65536 + (b or 0) * 256 + (c or 0)
        for index = 0, (b and (c and 3 or 2) or 1) do
            local six = math.floor(value / 64 ^ (3 - index)) % 64
            out[#out + 1] = ALPHABET:sub(six + 1, six + 1)
        end
    end
    return table.concat(out)
end

function support.write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

function support.read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

function support.run(command)
    local pipe = assert(io.popen("exec 2>/dev/null; " .. command))
    local text = pipe:read("*a")
    pipe:close()
    return text
end

-- The content of a PEM block.
function support.der(pem)
    local base64 = pem:gsub("%-%-%-%-%-[^\n]*", ""):gsub("%s+", ""):gsub("=", ""):gsub("%+", "-"):gsub("/", "_")
    return require("sluice.auth.base64url").decode_base64url(base64)
end

local HASHES = { ["256"] = "sha256", ["384"] = "sha384", ["512"] = "sha512" }

-- An ECDSA signature in DER as two numbers of fixed size.
function support.raw_signature(der, size)
    local at = der:byte(2) < 128 and 3 or 4
    local numbers = {}
    for _ = 1, 2 do
        local length = der:byte(at + 1)
        local number = der:sub(at + 2, at + 1 + length):gsub("^%z+", "")
        numbers[#numbers + 1] = ("\0"):rep(size - #number) .. number
        at = at + 2 + length
    end
    return table.concat(numbers)
end

local function rsa()
    local key = pkey.new({ type = "RSA", bits = 2048 })
    local key_pair = { kind = "RSA", pem = key:toPEM("public") }
    local path
    -- RSASSA-PSS by the openssl command. `options` are its own, in place of those of RFC 7518.
    function key_pair.sign_pss(message, hash, options)
        if not path then
            path = os.tmpname()
            support.write(path, key:toPEM("private"))
        end
        support.write(path .. ".message", message)
        local given = options or "-sigopt rsa_pss_saltlen:digest"
        return support.run(("openssl dgst -%s -sigopt rsa_padding_mode:pss %s -sign %s %s.message"):format(hash, given, path, path))
    end
    function key_pair.sign(message, algorithm)
        local hash = HASHES[algorithm:sub(3)]
        if algorithm:sub(1, 2) == "PS" then return key_pair.sign_pss(message, hash) end
        return key:sign(digest.new(hash):update(message))
    end
    function key_pair.remove()
        if path then
            os.remove(path)
            os.remove(path .. ".message")
        end
    end
    return key_pair
end

local SIZES = { prime256v1 = 32, secp384r1 = 48, secp521r1 = 66, secp256k1 = 32 }
local NAMES = { prime256v1 = "P-256", secp384r1 = "P-384", secp521r1 = "P-521" }

local function ec(curve)
    local key = pkey.new({ type = "EC", curve = curve })
    local size = SIZES[curve]
    local key_pair = { kind = "EC", curve = NAMES[curve], pem = key:toPEM("public"), size = size }
    function key_pair.sign_der(message, algorithm)
        return key:sign(digest.new(HASHES[algorithm:sub(3)]):update(message))
    end
    function key_pair.sign(message, algorithm)
        return support.raw_signature(key_pair.sign_der(message, algorithm), size)
    end
    return key_pair
end

-- luaossl can't sign with these; the openssl command can.
local function edwards(name)
    local path = os.tmpname()
    local private, message_file, signature_file = path .. ".key", path .. ".message", path .. ".signature"
    support.run(("openssl genpkey -algorithm %s -out %s"):format(name, private))
    local key_pair = { kind = "Edwards", curve = name, pem = support.run(("openssl pkey -in %s -pubout"):format(private)) }
    function key_pair.sign(message)
        support.write(message_file, message)
        support.run(("openssl pkeyutl -sign -rawin -inkey %s -in %s -out %s"):format(private, message_file, signature_file))
        return support.read(signature_file)
    end
    function key_pair.remove()
        for _, file in ipairs({ path, private, message_file, signature_file }) do os.remove(file) end
    end
    return key_pair
end

local MAKERS = {
    RSA = rsa,
    ["P-256"] = function() return ec("prime256v1") end,
    ["P-384"] = function() return ec("secp384r1") end,
    ["P-521"] = function() return ec("secp521r1") end,
    secp256k1 = function() return ec("secp256k1") end,
    Ed25519 = function() return edwards("Ed25519") end,
    Ed448 = function() return edwards("Ed448") end,
}

local made = {}

-- A key pair of a kind; the same one whenever the same number is asked for.
function support.key_pair(kind, number)
    local name = kind .. (number or 1)
    made[name] = made[name] or MAKERS[kind]()
    return made[name]
end

-- The public key as a JSON Web Key.
function support.jwk(key_pair, members)
    local der = support.der(key_pair.pem)
    local jwk
    if key_pair.kind == "RSA" then
        -- The modulus of 2048 bits is the 257 bytes before 02 03 01 00 01.
        jwk = { kty = "RSA", n = support.base64url(der:sub(-5 - 256, -6)), e = "AQAB" }
    elseif key_pair.kind == "EC" then
        local size = key_pair.size
        jwk = {
            kty = "EC",
            crv = key_pair.curve,
            x = support.base64url(der:sub(-2 * size, -size - 1)),
            y = support.base64url(der:sub(-size)),
        }
    else
        jwk = { kty = "OKP", crv = key_pair.curve, x = support.base64url(der:sub(key_pair.curve == "Ed448" and -57 or -32)) }
    end
    for name, value in pairs(members or {}) do jwk[name] = value end
    return jwk
end

function support.key_set(...) return cjson.encode({ keys = { ... } }) end

-- A token of a header and a payload, each a table or JSON text, and what signs them.
function support.token(header, payload, sign)
    local function text(part) return type(part) == "string" and part or cjson.encode(part) end
    local signed = support.base64url(text(header)) .. "." .. support.base64url(text(payload))
    return signed .. "." .. support.base64url(sign(signed))
end

function support.hmac_signer(secret, name)
    return function(message) return hmac.new(secret, name):final(message) end
end

-- Keeps the files of keys that the openssl command made until the specs are over.
function support.clean()
    for _, key_pair in pairs(made) do
        if key_pair.remove then key_pair.remove() end
    end
    made = {}
end

-- The tools of a directory. `files` are texts by path.
function support.tools(files, fetching, previous)
    local tools = { reader = support.reader, pauses = 0, fetching = fetching, previous = previous }
    function tools.read_file(path)
        if files and files[path] then return files[path] end
        return nil, "No such file or directory"
    end
    function tools.pause() tools.pauses = tools.pauses + 1 end
    return tools
end

return support
