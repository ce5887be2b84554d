local bignum = require("openssl.bignum")
local public_key = require("sluice.auth.public_key")
local jwks = require("sluice.auth.jwks")
local pkey = require("openssl.pkey")
local roca = require("sluice.auth.roca")
local support = require("spec.unit.auth.support")

local BROKEN = "expected an RSA key of a sound generator, found one that is broken (CVE-2017-15361): make a new key"

local function is_prime(number)
    for divisor = 2, math.floor(math.sqrt(number)) do
        if number % divisor == 0 then return false end
    end
    return true
end

--- The product of the first primes.
local function primorial(count)
    local product, candidate = bignum.new(1), 2
    while count > 0 do
        if is_prime(candidate) then
            product = product * bignum.new(candidate)
            count = count - 1
        end
        candidate = candidate + 1
    end
    return product
end

local random = io.open("/dev/urandom", "rb")

local function random_bytes(count) return random:read(count) end

--- A number of random bits, the top two and the lowest set.
local function random_odd(bits)
    local bytes = random_bytes(bits / 8)
    return string.char(192 + bytes:byte(1) % 64) .. bytes:sub(2, -2) .. string.char(bit.bor(bytes:byte(-1), 1))
end

--- A prime of so many bits, as the broken generator makes it: k * M + (65537 ^ a mod M).
local function weak_prime(bits, count)
    local product = primorial(count)
    local low = bignum.new(2) ^ bignum.new(bits) * bignum.new(3) / bignum.new(4) / product
    while true do
        local k = low + bignum.fromBinary(random_bytes(6)) % (low / bignum.new(3) - bignum.new(1))
        local a = bignum.fromBinary(random_bytes(32))
        local candidate = k * product + (function()
            local power, base, left = bignum.new(1), bignum.new(65537), a
            while left > bignum.new(0) do
                if left % bignum.new(2) == bignum.new(1) then power = power * base % product end
                base, left = base * base % product, left / bignum.new(2)
            end
            return power
        end)()
        if candidate:isPrime(8) then return candidate end
    end
end

describe("an RSA modulus", function()
    -- The numbers of primes are those of the paper for keys of that length.
    for _, case in ipairs({ { 2048, 126 }, { 3072, 126 } }) do
        local bits, count = case[1], case[2]
        it(("of the broken generator, of %i bits, is known, and its key refused"):format(bits), function()
            local number = weak_prime(bits / 2, count) * weak_prime(bits / 2, count)
            local modulus = number:toBinary()
            assert.equal(bits / 8, #modulus)
            assert.is_true(roca.is_of_weak_generator(modulus))

            local key, reason = public_key.rsa_key(modulus, "\1\0\1", support.reader.cryptography)
            assert.is_nil(key)
            assert.equal(BROKEN, reason)

            local jwk = { kty = "RSA", n = support.base64url(modulus), e = "AQAB", kid = "weak" }
            local keys, problems = jwks.read_key_set(support.key_set(jwk, support.jwk(support.key_pair("RSA"))), support.reader)
            assert.equal(1, #keys)
            assert.same({ "keys[0]: " .. BROKEN }, problems)

            local written = pkey.new({ type = "RSA", bits = 2048 })
            written:setParameters({ n = number, e = bignum.new(65537) })
            local from_pem, pem_reason = public_key.read_public_key(written:toPEM("public"), support.reader.cryptography)
            assert.is_nil(from_pem)
            assert.equal(BROKEN, pem_reason)
        end)
    end

    it("is known whatever multiple of the primes' product it is off, since both factors' are", function()
        local product = primorial(126)
        local known = bignum.new(65537) ^ bignum.new(11)
        for _ = 1, 100 do
            local number = product * bignum.fromBinary(random_odd(1088)) + known
            assert.is_true(roca.is_of_weak_generator(number:toBinary()))
        end
    end)

    it("of any other is not: 1,000 random ones, and 300 of random primes", function()
        for _ = 1, 1000 do assert.is_false(roca.is_of_weak_generator(random_odd(2048))) end
        local primes = {}
        for _ = 1, 25 do primes[#primes + 1] = bignum.generatePrime(1024) end
        for first = 1, #primes do
            for second = first + 1, #primes do
                assert.is_false(roca.is_of_weak_generator((primes[first] * primes[second]):toBinary()))
            end
        end
        assert.is_false(roca.is_of_weak_generator(require("sluice.auth.base64url").decode_base64url(support.jwk(support.key_pair("RSA")).n)))
    end)
end)
