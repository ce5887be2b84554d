local crypto = require("sluice.edge.crypto")
local decode = require("sluice.auth.base64url").decode_base64url
local ffi = require("ffi")
local support = require("spec.unit.auth.support")

local function hex(bytes) return (bytes:gsub(".", function(one) return ("%02x"):format(one:byte()) end)) end

describe("SHA-256", function()
    for text, expected in pairs({
        [""] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ["abc"] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"] =
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        [("a"):rep(1000000)] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    }) do
        it(("of %d bytes is what FIPS 180 says"):format(#text), function()
            assert.equal(expected, crypto.sha256_hex(text))
            assert.equal(expected, hex(ffi.string(crypto.sha256(text), 32)))
        end)
    end

    it("counts zero bytes", function() assert.are_not.equal(crypto.sha256_hex("a"), crypto.sha256_hex("a\0")) end)
end)

describe("HMAC", function()
    -- RFC 4231, test case 2.
    for name, expected in pairs({
        sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        sha384 = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    }) do
        it("with " .. name .. " is what RFC 4231 says", function()
            assert.equal(expected, hex(crypto.hmac(name, "Jefe", "what do ya want for nothing?")))
        end)
    end
end)

describe("comparing", function()
    for _, case in ipairs({ { "", "", true }, { "a", "a", true }, { "a", "b", false }, { "a", "", false }, { "ab", "a", false },
        { "a\0b", "a\0b", true }, { "a\0b", "a\0c", false } }) do
        it(("%q with %q"):format(case[1], case[2]), function() assert.equal(case[3], crypto.equal(case[1], case[2])) end)
    end
end)

describe("random bytes", function()
    it("are as many as asked for, and others each time", function()
        local seen = {}
        for count = 1, 256 do
            local bytes = crypto.random_bytes(count)
            assert.equal(count, #bytes)
            if count >= 16 then
                assert.is_nil(seen[bytes:sub(1, 16)])
                seen[bytes:sub(1, 16)] = true
            end
        end
    end)

    it("are refused in numbers that one call can't give", function()
        assert.has_error(function() crypto.random_bytes(0) end)
        assert.has_error(function() crypto.random_bytes(257) end)
    end)
end)

describe("EdDSA", function()
    -- RFC 8037, appendix A.4.
    local key = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    local message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    local signature = decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")

    it("accepts RFC 8037's example, and nothing near it", function()
        local check = crypto.edwards_check("Ed25519", key)
        assert.is_true(check("sha512", message, signature))
        assert.is_false(check("sha512", message .. "x", signature))
        assert.is_false(check("sha512", message, signature:sub(1, 63)))
        assert.is_false(check("sha512", message, ""))
        for at = 1, 64 do
            local changed = signature:sub(1, at - 1) .. string.char((signature:byte(at) + 1) % 256) .. signature:sub(at + 1)
            assert.is_false(check("sha512", message, changed))
        end
    end)

    it("refuses keys of the wrong size", function()
        for _, size in ipairs({ 0, 31, 33, 57 }) do
            local check, reason = crypto.edwards_check("Ed25519", ("k"):rep(size))
            assert.is_nil(check)
            assert.is_string(reason)
        end
    end)

    it("goes on working when the collector has run", function()
        local check = crypto.edwards_check("Ed25519", key)
        for _ = 1, 3 do
            collectgarbage()
            collectgarbage()
            assert.is_true(check("sha512", message, signature))
        end
    end)
end)

describe("RSA and EC", function()
    it("refuse what is no key", function()
        for _, text in ipairs({ "", "garbage", ("0"):rep(300) }) do
            local check, reason = crypto.signature_check(text)
            assert.is_nil(check)
            assert.equal("OpenSSL can't read it", reason)
        end
    end)

    it("refuse signatures of any size that aren't one, and then still accept the right one", function()
        for _, kind in ipairs({ "RSA", "P-256" }) do
            local pair = support.key_pair(kind)
            local check = crypto.signature_check(support.der(pair.pem))
            local right = (pair.sign_der or pair.sign)("message", "XX256")
            for size = 0, 300, 25 do assert.is_false(check("sha256", "message", ("s"):rep(size))) end
            assert.is_true(check("sha256", "message", right))
            assert.is_false(check("sha384", "message", right))
            assert.is_false(check("sha256", "massage", right))
        end
    end)

    it("leave nothing in OpenSSL's list of errors, which nginx would log as its own", function()
        ffi.cdef([[unsigned long sluice_spec_peek(void) __asm__("ERR_peek_error");]])
        local found, library = pcall(function() return ffi.C, ffi.C.sluice_spec_peek end)
        library = found and library or ffi.load("libcrypto.so.3")
        crypto.signature_check("garbage")
        crypto.signature_check(support.der(support.key_pair("P-256").pem))("sha256", "message", "garbage")
        crypto.signature_check(support.der(support.key_pair("RSA").pem))("sha256", "message", ("g"):rep(256))
        crypto.edwards_check("Ed25519", "short")
        assert.equal(0, tonumber(library.sluice_spec_peek()))
    end)
end)
