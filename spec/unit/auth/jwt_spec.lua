local jwks = require("sluice.auth.jwks")
local jwt = require("sluice.auth.jwt")
local public_key = require("sluice.auth.public_key")
local support = require("spec.unit.auth.support")

local NOW = 1800000000
local SECRET = ("0123456789abcdef"):rep(4)

local KINDS = {
    RS256 = "RSA", RS384 = "RSA", RS512 = "RSA",
    PS256 = "RSA", PS384 = "RSA", PS512 = "RSA", ES256 = "P-256", ES384 = "P-384", ES512 = "P-521", EdDSA = "Ed25519",
}

-- An issuer with the keys of those algorithms, or with the secret.
local function issuer(name, ...)
    local made = {
        name = name, audiences = { sluice = true, ["other-name"] = true }, algorithms = {}, tenant_claim = "tenant", leeway = 30,
    }
    local keys = {}
    for _, algorithm in ipairs({ ... }) do
        made.algorithms[algorithm] = public_key.ALGORITHMS[algorithm]
        if KINDS[algorithm] then
            keys[#keys + 1] = public_key.read_public_key(support.key_pair(KINDS[algorithm]).pem, support.reader.cryptography)
        else
            made.secret = SECRET
        end
    end
    made.keys = jwks.fixed_keys(keys)
    return made
end

-- What a good token says, with some claims changed; false takes one out.
local function claims(changes)
    local payload = { iss = "joe", aud = "sluice", exp = NOW + 60, sub = "ann", tenant = "acme" }
    for name, value in pairs(changes or {}) do
        if value == false then payload[name] = nil else payload[name] = value end
    end
    return payload
end

local function sign_with(algorithm)
    if KINDS[algorithm] then
        local pair = support.key_pair(KINDS[algorithm])
        return function(message) return pair.sign(message, algorithm) end
    end
    return support.hmac_signer(SECRET, "sha" .. algorithm:sub(3))
end

local function verify(token, issuers) return jwt.verify_token(token, issuers, support.reader, NOW) end

-- Verifies a token of HS256 whose header or payload is given, as tables or JSON text.
local function verify_hmac(header, payload)
    local token = support.token(header or { alg = "HS256" }, payload or claims(), support.hmac_signer(SECRET, "sha256"))
    return verify(token, { joe = issuer("joe", "HS256") })
end

local function assert_refused(message, token, fault)
    assert.is_nil(token)
    assert.equal(message, fault.message)
end

local MALFORMED = "The token is not a well-formed JSON Web Token."
local UNKNOWN_ISSUER = "The token's issuer is not accepted here."
local UNSUPPORTED = "The token uses an extension that is not supported."
local WRONG_ALGORITHM = "The token's algorithm is not accepted from its issuer."
local NO_KEY = "No key of the token's issuer fits the token."
local WRONG_SIGNATURE = "The token's signature is wrong."
local WRONG_CLAIMS = "A claim of the token is missing or of the wrong type."
local WRONG_AUDIENCE = "The token is meant for another audience."
local NOT_YET = "The token is not valid yet."
local EXPIRED = "The token has expired."

describe("a token's signature", function()
    for _, algorithm in ipairs({
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    }) do
        describe("with " .. algorithm, function()
            local sign = sign_with(algorithm)
            local token = support.token({ alg = algorithm, typ = "JWT" }, claims(), sign)
            local issuers = { joe = issuer("joe", algorithm) }

            it("is accepted when right", function()
                local verified, fault = verify(token, issuers)
                assert.is_nil(fault)
                assert.equal("acme", verified.tenant)
                assert.equal("ann", verified.subject)
                assert.equal(NOW + 90, verified.valid_until)
            end)

            it("is refused when it belongs to other claims", function()
                local other = support.token({ alg = algorithm, typ = "JWT" }, claims({ tenant = "other" }), sign)
                local spliced = other:match("^[^.]*%.[^.]*%.") .. token:match("[^.]*$")
                assert_refused(WRONG_SIGNATURE, verify(spliced, issuers))
            end)

            it("is refused when it is empty, short, long or changed", function()
                local signed, signature = token:match("^(.*%.)([^.]*)$")
                local bytes = require("sluice.auth.base64url").decode_base64url(signature)
                for _, wrong in ipairs({ "", bytes:sub(1, -2), bytes .. "\0", ("\0"):rep(#bytes),
                    string.char((bytes:byte(1) + 1) % 256) .. bytes:sub(2) }) do
                    assert_refused(WRONG_SIGNATURE, verify(signed .. support.base64url(wrong), issuers))
                end
            end)

            it("is refused from an issuer that doesn't use the algorithm", function()
                local others = { HS256 = "HS384", EdDSA = "ES256" }
                assert_refused(WRONG_ALGORITHM, verify(token, { joe = issuer("joe", others[algorithm] or "HS256") }))
            end)
        end)
    end

    it("of none is refused however it is spelt", function()
        for _, alg in ipairs({ "none", "None", "NONE", "nOnE", "", " none", "null" }) do
            for _, signature in ipairs({ "", "anything" }) do
                local token = support.token({ alg = alg }, claims(), function() return signature end)
                assert_refused(WRONG_ALGORITHM, verify(token, { joe = issuer("joe", "HS256") }))
                assert_refused(WRONG_ALGORITHM, verify(token, { joe = issuer("joe", "RS256", "ES256", "EdDSA") }))
            end
        end
    end)

    it("with the public key as an HMAC secret is refused", function()
        local pem = support.key_pair("RSA").pem
        local der = support.der(pem)
        for _, secret in ipairs({ pem, pem:gsub("%s+$", ""), der, support.jwk(support.key_pair("RSA")).n }) do
            local token = support.token({ alg = "HS256" }, claims(), support.hmac_signer(secret, "sha256"))
            assert_refused(WRONG_ALGORITHM, verify(token, { joe = issuer("joe", "RS256") }))
        end
    end)

    it("with the public key as an HMAC secret is refused even where both algorithms are listed", function()
        local both = issuer("joe", "RS256")
        both.algorithms.HS256 = public_key.ALGORITHMS.HS256
        local token = support.token({ alg = "HS256" }, claims(), support.hmac_signer(support.key_pair("RSA").pem, "sha256"))
        assert_refused(NO_KEY, verify(token, { joe = both }))
    end)

    it("isn't checked with a key of another kind or curve", function()
        local checked = 0
        for algorithm, kind in pairs(KINDS) do
            local mixed = issuer("joe", algorithm)
            for _, other in pairs(KINDS) do
                if other ~= kind then
                    local key = public_key.read_public_key(support.key_pair(other).pem, support.reader.cryptography)
                    key.check = function() checked = checked + 1 return true end
                    mixed.keys = jwks.fixed_keys({ key })
                    assert_refused(NO_KEY, verify(support.token({ alg = algorithm }, claims(), sign_with(algorithm)), { joe = mixed }))
                end
            end
        end
        assert.equal(0, checked)
    end)

    it("in DER, or with r = s = 0, is refused", function()
        local issuers = { joe = issuer("joe", "ES256") }
        local pair = support.key_pair("P-256")
        local der = support.token({ alg = "ES256" }, claims(), function(message) return pair.sign_der(message, "ES256") end)
        assert_refused(WRONG_SIGNATURE, verify(der, issuers))
        local zeros = support.token({ alg = "ES256" }, claims(), function() return ("\0"):rep(64) end)
        assert_refused(WRONG_SIGNATURE, verify(zeros, issuers))
    end)

    it("isn't checked with a key that the token brings along", function()
        local stranger = support.key_pair("RSA", 2)
        local sign = function(message) return stranger.sign(message, "RS256") end
        for _, header in ipairs({
            { alg = "RS256", jwk = support.jwk(stranger) },
            { alg = "RS256", jku = "https://attacker.example/keys" },
            { alg = "RS256", x5u = "https://attacker.example/certificate" },
            { alg = "RS256", x5c = { support.base64url(support.der(stranger.pem)) } },
            { alg = "RS256", kid = "../../../dev/null" },
        }) do
            assert_refused(WRONG_SIGNATURE, verify(support.token(header, claims(), sign), { joe = issuer("joe", "RS256") }))
        end
    end)

    it("is accepted although the token brings a key along, if it is the issuer's", function()
        local header = { alg = "RS256", jwk = support.jwk(support.key_pair("RSA", 2)) }
        assert.truthy(verify(support.token(header, claims(), sign_with("RS256")), { joe = issuer("joe", "RS256") }))
    end)

    it("of one issuer is refused under another's name", function()
        local issuers = { joe = issuer("joe", "RS256"), ann = issuer("ann", "HS256") }
        local as_joe = support.token({ alg = "HS256" }, claims(), sign_with("HS256"))
        assert_refused(WRONG_ALGORITHM, verify(as_joe, issuers))
        local as_ann = support.token({ alg = "HS256" }, claims({ iss = "ann" }), sign_with("HS256"))
        assert.equal("ann", verify(as_ann, issuers).issuer.name)
    end)
end)

describe("a token signed with RSASSA-PSS", function()
    local pair = support.key_pair("RSA")
    local function token(alg, sign) return support.token({ alg = alg }, claims(), sign) end

    it("is refused where only PKCS #1 v1.5 is listed, and the other way round", function()
        local pss = token("PS256", function(message) return pair.sign(message, "PS256") end)
        local pkcs = token("RS256", function(message) return pair.sign(message, "RS256") end)
        assert_refused(WRONG_ALGORITHM, verify(pss, { joe = issuer("joe", "RS256", "RS384", "RS512") }))
        assert_refused(WRONG_ALGORITHM, verify(pkcs, { joe = issuer("joe", "PS256", "PS384", "PS512") }))
        assert.truthy((verify(pss, { joe = issuer("joe", "RS256", "PS256") })))
        assert.truthy((verify(pkcs, { joe = issuer("joe", "RS256", "PS256") })))
    end)

    it("is refused with the other padding under its name", function()
        local both = { joe = issuer("joe", "RS256", "PS256") }
        assert_refused(WRONG_SIGNATURE, verify(token("PS256", function(message) return pair.sign(message, "RS256") end), both))
        assert_refused(WRONG_SIGNATURE, verify(token("RS256", function(message) return pair.sign(message, "PS256") end), both))
    end)

    for name, options in pairs({
        ["a salt of no length"] = "-sigopt rsa_pss_saltlen:0",
        ["a salt one byte too short"] = "-sigopt rsa_pss_saltlen:31",
        ["a salt one byte too long"] = "-sigopt rsa_pss_saltlen:33",
        ["the longest salt"] = "-sigopt rsa_pss_saltlen:max",
        ["MGF1 of another hash"] = "-sigopt rsa_pss_saltlen:digest -sigopt rsa_mgf1_md:sha512",
    }) do
        it("is refused with " .. name, function()
            local signature
            local made = token("PS256", function(message)
                signature = pair.sign_pss(message, "sha256", options)
                return signature
            end)
            assert.equal(256, #signature)
            assert_refused(WRONG_SIGNATURE, verify(made, { joe = issuer("joe", "PS256") }))
        end)
    end

    it("needs a key whose alg is the same, if it has one", function()
        for alg, fits in pairs({ PS256 = true, RS256 = false, PS384 = false }) do
            local restricted = issuer("joe", "PS256", "RS256", "PS384")
            local keys = jwks.read_key_set(support.key_set(support.jwk(pair, { alg = alg })), support.reader)
            restricted.keys = jwks.fixed_keys(keys)
            local verified, fault = verify(token("PS256", function(message) return pair.sign(message, "PS256") end), { joe = restricted })
            assert.equal(fits, verified ~= nil, alg)
            if not fits then assert.equal(NO_KEY, fault.message) end
        end
    end)
end)

describe("a token's typ", function()
    local function verified(types, typ)
        local strict = issuer("joe", "HS256")
        strict.types = types and {}
        for _, name in ipairs(types or {}) do strict.types[jwt.media_type(name)] = true end
        local header = { alg = "HS256", typ = typ }
        return verify(support.token(header, claims(), support.hmac_signer(SECRET, "sha256")), { joe = strict })
    end

    for _, case in ipairs({
        { { "JWT" }, "JWT" }, { { "JWT" }, "jwt" }, { { "jwt" }, "JWT" }, { { "JWT" }, "application/jwt" }, { { "application/JWT" }, "JWT" },
        { { "at+jwt" }, "at+jwt" }, { { "at+jwt" }, "AT+JWT" }, { { "at+jwt" }, "application/at+jwt" }, { { "JWT", "at+jwt" }, "at+jwt" },
        { { "JWT" }, nil }, { nil, "anything" }, { nil, 17 }, { nil, nil },
    }) do
        it(("of %s is accepted where %s is wanted"):format(tostring(case[2]), table.concat(case[1] or { "none" }, " or ")), function()
            assert.truthy((verified(case[1], case[2])))
        end)
    end

    for _, case in ipairs({
        { { "at+jwt" }, "JWT" }, { { "at+jwt" }, nil }, { { "JWT" }, "at+jwt" }, { { "JWT", "at+jwt" }, "logout+jwt" }, { { "JWT" }, "" },
        { { "JWT" }, "JWT " }, { { "JWT" }, "text/jwt" }, { { "JWT" }, "application/application/jwt" }, { { "JWT" }, 17 }, { { "JWT" }, true },
        { { "JWT" }, { "JWT" } }, { { "at+jwt" }, "at+jwt;a=b" },
    }) do
        it(("of %s is refused where %s is wanted"):format(tostring(case[2]), table.concat(case[1], " or ")), function()
            assert_refused("The token is of a type that is not accepted from its issuer.", verified(case[1], case[2]))
        end)
    end
end)

describe("a token's form", function()
    local good = support.token({ alg = "HS256" }, claims(), support.hmac_signer(SECRET, "sha256"))
    local header, payload, signature = good:match("^([^.]*)%.([^.]*)%.([^.]*)$")
    local issuers = { joe = issuer("joe", "HS256") }

    for name, token in pairs({
        ["nothing"] = "",
        ["two parts"] = header .. "." .. payload,
        ["four parts"] = good .. ".",
        ["five parts, as encrypted tokens have"] = good .. ".a.b",
        ["no parts"] = "eyJhbGciOiJIUzI1NiJ9",
        ["an empty header"] = "." .. payload .. "." .. signature,
        ["an empty payload"] = header .. ".." .. signature,
        ["padding"] = header .. "." .. payload .. "=." .. signature,
        ["a space before it"] = " " .. good,
        ["a space behind it"] = good .. " ",
        ["a line break in it"] = header .. ".\n" .. payload .. "." .. signature,
        ["a zero byte in it"] = header .. "." .. payload .. "." .. signature .. "\0",
        ["more than 16 KiB"] = header .. "." .. ("A"):rep(16384) .. "." .. signature,
    }) do
        it("isn't " .. name, function() assert_refused(MALFORMED, verify(token, issuers)) end)
    end

    it("has one spelling: no bits to spare in the signature", function()
        -- 32 bytes end in a character of which two bits count for nothing.
        local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        local last = alphabet:find(signature:sub(-1), 1, true)
        local twin = signature:sub(1, -2) .. alphabet:sub(last + 1, last + 1)
        assert_refused(MALFORMED, verify(header .. "." .. payload .. "." .. twin, issuers))
    end)

    it("may be 16 KiB long and no longer", function()
        local function of_length(length)
            local sign = support.hmac_signer(SECRET, "sha256")
            local rest = #support.token({ alg = "HS256" }, claims({ x = "" }), sign)
            for filling = math.floor((length - rest) * 3 / 4) - 4, length do
                local token = support.token({ alg = "HS256" }, claims({ x = ("x"):rep(filling) }), sign)
                if #token >= length then return token end
            end
        end
        assert.equal(16384, #of_length(16384))
        assert.truthy(verify(of_length(16384), issuers))
        assert_refused(MALFORMED, verify(of_length(16385), issuers))
    end)

    for name, text in pairs({
        ["an array"] = '["HS256"]', ["a string"] = '"HS256"', ["null"] = "null", ["nothing"] = "", ["two objects"] = '{"alg":"HS256"}{}',
        ["two alg members"] = '{"alg":"none","alg":"HS256"}', ["two alg members, one escaped"] = '{"alg":"HS256","\\u0061lg":"none"}',
        ["a trailing comma"] = '{"alg":"HS256",}', ["a byte order mark"] = "\239\187\191" .. '{"alg":"HS256"}',
        ["a comment"] = '{"alg":"HS256"/**/}', ["no alg"] = "{}", ["alg of a wrong type"] = '{"alg":["HS256"]}', ["alg null"] = '{"alg":null}',
        ["kid of a wrong type"] = '{"alg":"HS256","kid":1}', ["kid null"] = '{"alg":"HS256","kid":null}',
        ["invalid UTF-8"] = '{"alg":"HS256","x":"\255"}', ["deep nesting"] = '{"alg":"HS256","x":' .. ("["):rep(200) .. ("]"):rep(200) .. "}",
    }) do
        it("has no header with " .. name, function() assert_refused(MALFORMED, verify_hmac(text)) end)
    end

    for name, text in pairs({
        ["crit"] = '{"alg":"HS256","crit":["exp"],"exp":1}', ["an empty crit"] = '{"alg":"HS256","crit":[]}',
        ["crit null"] = '{"alg":"HS256","crit":null}', ["b64 false"] = '{"alg":"HS256","b64":false}',
        ["b64 of another type"] = '{"alg":"HS256","b64":"false"}',
        ["b64 and crit"] = '{"alg":"HS256","b64":false,"crit":["b64"]}',
    }) do
        it("has no header with " .. name, function() assert_refused(UNSUPPORTED, verify_hmac(text)) end)
    end

    for name, text in pairs({
        ["two exp claims"] = '{"iss":"joe","aud":"sluice","tenant":"acme","exp":1,"exp":1800000060}',
        ["two exp claims, one escaped"] = '{"iss":"joe","aud":"sluice","tenant":"acme","exp":1800000060,"e\\u0078p":1800000060}',
        ["two tenants"] = '{"iss":"joe","aud":"sluice","tenant":"acme","tenant":"other","exp":1800000060}',
        ["a number that isn't JSON"] = '{"iss":"joe","aud":"sluice","tenant":"acme","exp":0x6b49d200}',
        ["NaN"] = '{"iss":"joe","aud":"sluice","tenant":"acme","exp":NaN}',
        ["invalid UTF-8"] = '{"iss":"joe","aud":"sluice","tenant":"acme","exp":1800000060,"name":"\192\175"}',
        ["something behind it"] = '{"iss":"joe","aud":"sluice","tenant":"acme","exp":1800000060} x',
        ["an array"] = '["iss","joe"]',
        ["a string"] = '"joe"',
    }) do
        it("has no payload with " .. name, function() assert_refused(MALFORMED, verify_hmac(nil, text)) end)
    end

    it("may have blanks in its JSON, and members nobody knows", function()
        assert.truthy(verify_hmac(' \n{ "alg" : "HS256" , "typ": "at+jwt", "x": {"alg": "none"} }', claims({ roles = { "a", "b" } })))
    end)

    it("is what looks like a token", function()
        assert.is_true(jwt.looks_like_token(good))
        for _, text in ipairs({ "", "eyJ", "eyJ.a", "eyK.a.b", "xeyJ.a.b", "sk-a.b.c" }) do
            assert.is_false(jwt.looks_like_token(text))
        end
    end)
end)

describe("a token's claims", function()
    local null = require("cjson").null

    for name, case in pairs({
        ["no exp"] = { { exp = false }, WRONG_CLAIMS },
        ["exp as a string"] = { { exp = "1800000060" }, WRONG_CLAIMS },
        ["exp null"] = { { exp = null }, WRONG_CLAIMS },
        ["exp true"] = { { exp = true }, WRONG_CLAIMS },
        ["exp as a list"] = { { exp = { NOW + 60 } }, WRONG_CLAIMS },
        ["an exp long past"] = { { exp = 1 }, EXPIRED },
        ["a negative exp"] = { { exp = -1 }, EXPIRED },
        ["an exp just past the leeway"] = { { exp = NOW - 30 }, EXPIRED },
        ["nbf as a string"] = { { nbf = "0" }, WRONG_CLAIMS },
        ["an nbf past the leeway"] = { { nbf = NOW + 31 }, NOT_YET },
        ["iat as a string"] = { { iat = "0" }, WRONG_CLAIMS },
        ["an iat past the leeway"] = { { iat = NOW + 31 }, NOT_YET },
        ["another audience"] = { { aud = "gateway" }, WRONG_AUDIENCE },
        ["an audience of other case"] = { { aud = "Sluice" }, WRONG_AUDIENCE },
        ["an audience that only begins the same"] = { { aud = "sluice2" }, WRONG_AUDIENCE },
        ["other audiences"] = { { aud = { "a", "b" } }, WRONG_AUDIENCE },
        ["no audience"] = { { aud = false }, WRONG_CLAIMS },
        ["an empty object of audiences"] = { { aud = {} }, WRONG_AUDIENCE },
        ["an audience that is a number"] = { { aud = 1 }, WRONG_CLAIMS },
        ["audiences of which one is a number"] = { { aud = { "sluice", 1 } }, WRONG_CLAIMS },
        ["an audience that is an object"] = { { aud = { sluice = true } }, WRONG_AUDIENCE },
        ["no tenant"] = { { tenant = false }, WRONG_CLAIMS },
        ["a tenant that is a list"] = { { tenant = { "acme" } }, WRONG_CLAIMS },
        ["a tenant that is a number"] = { { tenant = 1 }, WRONG_CLAIMS },
        ["a subject that is a number"] = { { sub = 7 }, WRONG_CLAIMS },
        ["a subject that is null"] = { { sub = null }, WRONG_CLAIMS },
        ["another issuer"] = { { iss = "ann" }, UNKNOWN_ISSUER },
        ["an issuer with a slash more"] = { { iss = "joe/" }, UNKNOWN_ISSUER },
        ["no issuer"] = { { iss = false }, UNKNOWN_ISSUER },
        ["an issuer that is a list"] = { { iss = { "joe" } }, UNKNOWN_ISSUER },
    }) do
        it("are refused with " .. name, function()
            local token, fault = verify_hmac(nil, claims(case[1]))
            assert_refused(case[2], token, fault)
            assert.equal(case[2] == EXPIRED, fault.expired)
        end)
    end

    it("are refused with an empty list of audiences", function()
        assert_refused(WRONG_AUDIENCE, verify_hmac(nil, '{"iss":"joe","aud":[],"tenant":"acme","exp":1800000060}'))
    end)

    it("are refused with an infinite exp", function()
        assert_refused(WRONG_CLAIMS, verify_hmac(nil, '{"iss":"joe","aud":"sluice","tenant":"acme","exp":1e400}'))
        assert_refused(WRONG_CLAIMS, verify_hmac(nil, '{"iss":"joe","aud":"sluice","tenant":"acme","exp":-1e400}'))
    end)

    for name, case in pairs({
        ["an exp just within the leeway"] = { exp = NOW - 29.5 },
        ["an nbf at the end of the leeway"] = { nbf = NOW + 30 },
        ["an iat at the end of the leeway"] = { iat = NOW + 30 },
        ["fractions of seconds"] = { exp = NOW + 0.5, nbf = NOW - 0.5, iat = NOW - 0.25 },
        ["a list of audiences with the right one"] = { aud = { "a", "sluice" } },
        ["the other name of the audience"] = { aud = "other-name" },
        ["no subject"] = { sub = false },
    }) do
        it("are accepted with " .. name, function()
            local token, fault = verify_hmac(nil, claims(case))
            assert.is_nil(fault)
            assert.equal("acme", token.tenant)
        end)
    end

    it("are believed only after the signature", function()
        local token = support.token({ alg = "HS256" }, claims({ exp = 1 }), support.hmac_signer("wrong", "sha256"))
        assert_refused(WRONG_SIGNATURE, verify(token, { joe = issuer("joe", "HS256") }))
    end)

    it("name the tenant in the claim that the issuer uses", function()
        local other = issuer("joe", "HS256")
        other.tenant_claim = "https://example.com/team"
        local sign = support.hmac_signer(SECRET, "sha256")
        local token = support.token({ alg = "HS256" }, claims({ tenant = "acme", ["https://example.com/team"] = "blue" }), sign)
        assert.equal("blue", verify(token, { joe = other }).tenant)
    end)
end)

teardown(support.clean)
