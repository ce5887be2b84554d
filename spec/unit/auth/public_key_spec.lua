local crypto = require("sluice.edge.crypto")
local decode = require("sluice.auth.base64url").decode_base64url
local public_key = require("sluice.auth.public_key")
local support = require("spec.unit.auth.support")

local ALGORITHM_OF = { RSA = "RS256", ["P-256"] = "ES256", ["P-384"] = "ES384", ["P-521"] = "ES512", Ed25519 = "EdDSA", Ed448 = "EdDSA" }

describe("a public key", function()
    for kind, algorithm in pairs(ALGORITHM_OF) do
        it("of " .. kind .. " is read from PEM, and checks what its owner signed", function()
            local pair = support.key_pair(kind)
            local key, reason = public_key.read_public_key(pair.pem, crypto)
            assert.is_nil(reason)
            local hash = algorithm == "EdDSA" and "sha512" or "sha" .. algorithm:sub(3)
            assert.is_true(key.check(hash, "message", pair.sign("message", algorithm)))
            assert.is_false(key.check(hash, "massage", pair.sign("message", algorithm)))
            for name in pairs({ RS256 = 1, RS512 = 1, PS256 = 1, ES256 = 1, ES384 = 1, ES512 = 1, EdDSA = 1, HS256 = 1 }) do
                local fits = name == algorithm or (kind == "RSA" and (name == "RS512" or name == "PS256"))
                assert.equal(fits, public_key.key_fits(key, public_key.ALGORITHMS[name]), name)
            end
        end)
    end

    local good = support.key_pair("P-256").pem
    local no_pem = "expected one PEM block that begins with -----BEGIN PUBLIC KEY-----"
    local unknown = "expected a key of RSA, P-256, P-384, P-521, Ed25519 or Ed448"
    for name, case in pairs({
        ["nothing"] = { "", no_pem },
        ["a private key"] = { support.run("openssl genpkey -algorithm ed25519"), no_pem },
        ["a certificate"] = { (good:gsub("PUBLIC KEY", "CERTIFICATE")), no_pem },
        ["two keys"] = { good .. good, no_pem },
        ["a key with text around it"] = { "my key\n" .. good, no_pem },
        ["nothing between the markers"] = { "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", "expected a public key" },
        ["base64 of nothing that is a key"] = { "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "expected a public key" },
        ["base64 with a character too many"] = {
            "-----BEGIN PUBLIC KEY-----\nAAAAA\n-----END PUBLIC KEY-----\n", "expected base64 between the PEM markers",
        },
        ["a key cut short"] = { (good:gsub("....\n%-%-%-%-%-END", "\n-----END")), "expected a public key" },
        ["a key with more behind it"] = { (good:gsub("=*\n%-%-%-%-%-END", "AAAA\n-----END")), "expected a public key" },
        ["a curve that JWT doesn't have"] = { support.key_pair("secp256k1").pem, unknown },
        ["RSA of 1024 bits"] = {
            support.run("openssl genrsa 1024 | openssl rsa -pubout"), "expected an RSA key of 2048 to 8192 bits, found 1024",
        },
        ["RSA for PSS only"] = { support.run("openssl genpkey -algorithm RSA-PSS | openssl pkey -pubout"), unknown },
        ["DSA"] = { support.run("openssl dsaparam -genkey 1024 | openssl dsa -pubout"), unknown },
        ["X25519, which doesn't sign"] = { support.run("openssl genpkey -algorithm X25519 | openssl pkey -pubout"), unknown },
    }) do
        it("isn't " .. name, function()
            local key, reason = public_key.read_public_key(case[1], crypto)
            assert.is_nil(key)
            assert.equal(case[2], reason)
        end)
    end

    it("is read with CRLF and blank lines around it", function()
        assert.truthy(public_key.read_public_key("\r\n" .. good:gsub("\n", "\r\n") .. "\r\n", crypto))
    end)

    describe("of RSA", function()
        local modulus = decode(support.jwk(support.key_pair("RSA")).n)

        for name, case in pairs({
            ["with exponent 1"] = { modulus, "\1" },
            ["with exponent 1 behind zeros"] = { modulus, "\0\0\1" },
            ["with exponent 0"] = { modulus, "\0" },
            ["with an even exponent"] = { modulus, "\1\0\2" },
            ["without an exponent"] = { modulus, "" },
            ["with an exponent of 9 bytes"] = { modulus, ("\1"):rep(9) },
            ["without a modulus"] = { "", "\1\0\1" },
            ["with a modulus of zeros"] = { ("\0"):rep(256), "\1\0\1" },
            ["with an even modulus"] = { modulus:sub(1, 255) .. "\2", "\1\0\1" },
            ["of 2047 bits"] = { "\127" .. modulus:sub(2), "\1\0\1" },
            ["of 1024 bits that zeros make longer"] = { ("\0"):rep(128) .. modulus:sub(1, 127) .. "\3", "\1\0\1" },
            ["of 8200 bits"] = { "\255" .. ("\255"):rep(1024), "\1\0\1" },
        }) do
            it(name .. " is refused", function()
                local key, reason = public_key.rsa_key(case[1], case[2], crypto)
                assert.is_nil(key)
                assert.truthy(reason:find("^expected an RSA"))
            end)
        end

        it("says how many bits it found", function()
            local _, reason = public_key.rsa_key("\1" .. ("\0"):rep(126) .. "\1", "\1\0\1", crypto)
            assert.equal("expected an RSA key of 2048 to 8192 bits, found 1017", reason)
        end)

        it("may be written with zeros before its modulus", function()
            local pair = support.key_pair("RSA")
            local key = public_key.rsa_key("\0" .. modulus, "\0\1\0\1", crypto)
            assert.is_true(key.check("sha256", "message", pair.sign("message", "RS256")))
        end)
    end)

    describe("of EC", function()
        local jwk = support.jwk(support.key_pair("P-256"))
        local x, y = decode(jwk.x), decode(jwk.y)

        for name, case in pairs({
            ["whose point isn't on the curve"] = { "P-256", x, x },
            ["whose point is 0"] = { "P-256", ("\0"):rep(32), ("\0"):rep(32) },
            ["with a short coordinate"] = { "P-256", x, y:sub(2) },
            ["with a long coordinate"] = { "P-256", "\0" .. x, y },
            ["of another curve"] = { "P-384", x, y },
            ["of an unknown curve"] = { "P-257", x, y },
        }) do
            it(name .. " is refused", function()
                local key, reason = public_key.ec_key(case[1], case[2], case[3], crypto)
                assert.is_nil(key)
                assert.truthy(reason:find("^expected "))
            end)
        end
    end)

    for kind, size in pairs({ ["P-256"] = 32, ["P-384"] = 48, ["P-521"] = 66 }) do
        describe("of " .. kind .. " given a signature", function()
            local algorithm = ALGORITHM_OF[kind]
            local hash = "sha" .. algorithm:sub(3)
            local pair = support.key_pair(kind)
            local key = public_key.read_public_key(pair.pem, crypto)
            local right = pair.sign("message", algorithm)
            local zero, full = ("\0"):rep(size), ("\255"):rep(size)
            local one = ("\0"):rep(size - 1) .. "\1"
            local order = ({
                ["P-256"] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
                ["P-384"] = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
                ["P-521"] = "01" .. ("f"):rep(64) .. "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
            })[kind]:gsub("%x%x", function(pair_of_digits) return string.char(tonumber(pair_of_digits, 16)) end)

            it("doesn't hand OpenSSL numbers that are 0, or not below n", function()
                local asked = 0
                local counting = setmetatable({
                    signature_check = function() return function() asked = asked + 1 return true end end,
                }, { __index = crypto })
                local counted = public_key.read_public_key(pair.pem, counting)
                for _, signature in ipairs({ zero .. one, one .. zero, order .. one, one .. order, full .. one, one .. full }) do
                    assert.is_false(counted.check(hash, "message", signature))
                end
                assert.equal(0, asked)
                assert.is_true(counted.check(hash, "message", one .. one))
            end)

            for name, signature in pairs({
                ["r = s = 0"] = zero .. zero,
                ["r = 0"] = zero .. right:sub(size + 1),
                ["s = 0"] = right:sub(1, size) .. zero,
                ["r = s = 1"] = one .. one,
                ["r = s = n"] = order .. order,
                ["s = n"] = right:sub(1, size) .. order,
                ["r above n"] = full .. right:sub(size + 1),
                ["r and s exchanged"] = right:sub(size + 1) .. right:sub(1, size),
                ["DER"] = pair.sign_der("message", algorithm),
                ["one byte less"] = right:sub(1, -2),
                ["one byte more"] = right .. "\0",
                ["zeros between the numbers"] = "\0" .. right:sub(1, size) .. "\0" .. right:sub(size + 1),
                ["nothing"] = "",
            }) do
                it("refuses " .. name, function() assert.is_false(key.check(hash, "message", signature)) end)
            end

            it("accepts the right one", function() assert.is_true(key.check(hash, "message", right)) end)

            it("accepts hundred more, whatever bytes they begin with", function()
                for index = 1, 100 do
                    assert.is_true(key.check(hash, "message " .. index, pair.sign("message " .. index, algorithm)))
                end
            end)
        end)
    end

    it("is for the one algorithm that its owner names", function()
        local key = public_key.read_public_key(support.key_pair("RSA").pem, crypto)
        key.algorithm = "RS384"
        assert.is_false(public_key.key_fits(key, public_key.ALGORITHMS.RS256))
        assert.is_true(public_key.key_fits(key, public_key.ALGORITHMS.RS384))
        local edwards = public_key.read_public_key(support.key_pair("Ed25519").pem, crypto)
        for _, name in ipairs({ "EdDSA", "Ed25519" }) do
            edwards.algorithm = name
            assert.is_true(public_key.key_fits(edwards, public_key.ALGORITHMS.EdDSA))
        end
        edwards.algorithm = "Ed448"
        assert.is_false(public_key.key_fits(edwards, public_key.ALGORITHMS.EdDSA))
    end)

    teardown(support.clean)
end)
