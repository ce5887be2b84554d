local cjson = require("cjson.safe")
local jwks = require("sluice.auth.jwks")
local public_key = require("sluice.auth.public_key")
local support = require("spec.unit.auth.support")

local RS256, ES256 = public_key.ALGORITHMS.RS256, public_key.ALGORITHMS.ES256

local function read(text) return jwks.read_key_set(text, support.reader) end

-- A world in which fetches begin when told to, time passes when told to, and answers are given.
local function world(answer)
    local self = { answer = answer, time = 1000, fetches = 0, waits = {}, reports = {}, queue = {}, opened = 0, threads = true }
    function self.fetch(url)
        assert.equal("https://id.example.com/keys", url)
        self.fetches = self.fetches + 1
        if type(self.answer) == "function" then return self.answer() end
        if self.answer then return self.answer end
        return nil, "connection refused"
    end
    function self.now() return self.time end
    function self.later(action)
        if not self.threads then return false end
        self.queue[#self.queue + 1] = action
        return true
    end
    function self.new_gate()
        return {
            -- Waiting lets the fetches run that were put off.
            wait = function(seconds)
                self.waits[#self.waits + 1] = seconds
                self.run()
            end,
            open = function() self.opened = self.opened + 1 end,
        }
    end
    function self.report(message) self.reports[#self.reports + 1] = message end
    function self.run()
        local queue = self.queue
        self.queue = {}
        for _, action in ipairs(queue) do action() end
    end
    return self
end

local function source_of(outside)
    local source = jwks.fetched_keys("https://id.example.com/keys", support.reader, outside, function()
        outside.changes = (outside.changes or 0) + 1
    end)
    return source
end

local function find(source, outside, kid, algorithm)
    return jwks.find_keys(source, kid, algorithm or RS256, outside.time)
end

describe("a key set", function()
    for name, text in pairs({
        ["nothing"] = "", ["not JSON"] = "<html>", ["an array"] = "[]", ["an object without keys"] = "{}",
        ["keys that are no list"] = '{"keys":"x"}', ["keys that are null"] = '{"keys":null}',
        ["a member twice"] = '{"keys":[],"keys":[]}', ["a number"] = "1", ["null"] = "null",
        ["invalid UTF-8"] = '{"keys":[],"x":"\255"}', ["more than 256 keys"] = '{"keys":[' .. ("{},"):rep(256) .. "{}]}",
    }) do
        it("isn't " .. name, function()
            local keys, problems = read(text)
            assert.is_nil(keys)
            assert.equal(1, #problems)
        end)
    end

    it("holds keys of every kind", function()
        local members = {}
        for _, kind in ipairs({ "RSA", "P-256", "P-384", "P-521", "Ed25519", "Ed448" }) do
            members[#members + 1] = support.jwk(support.key_pair(kind), { kid = kind })
        end
        local keys, problems = read(cjson.encode({ keys = members }))
        assert.same({}, problems)
        local found = {}
        for index, key in ipairs(keys) do found[index] = { key.kid, key.kind, key.curve } end
        assert.same({
            { "RSA", "RSA" }, { "P-256", "EC", "P-256" }, { "P-384", "EC", "P-384" }, { "P-521", "EC", "P-521" },
            { "Ed25519", "Edwards", "Ed25519" }, { "Ed448", "Edwards", "Ed448" },
        }, found)
    end)

    it("may hold keys that are of no use here", function()
        local rsa, ec = support.jwk(support.key_pair("RSA")), support.jwk(support.key_pair("P-256"))
        local keys, problems = read(support.key_set(
            { kty = "oct", k = "c2VjcmV0" }, { kty = "AKP", alg = "ML-DSA-44" }, { kty = "EC", crv = "secp256k1", x = "AA", y = "AA" },
            { kty = "OKP", crv = "X25519", x = rsa.n }, support.jwk(support.key_pair("RSA"), { use = "enc" }),
            support.jwk(support.key_pair("RSA"), { key_ops = { "encrypt" } }), support.jwk(support.key_pair("RSA"), { key_ops = "verify" }),
            ec
        ))
        assert.same({}, problems)
        assert.equal(1, #keys)
        assert.equal("EC", keys[1].kind)
    end)

    it("may hold what its keys are for", function()
        local keys = read(support.key_set(
            support.jwk(support.key_pair("RSA"), { use = "sig", key_ops = { "sign", "verify" }, alg = "RS512", d = "cHJpdmF0ZQ" })
        ))
        assert.equal("RS512", keys[1].algorithm)
        assert.is_nil(keys[1].d)
    end)

    for name, case in pairs({
        ["without kty"] = { {}, "expected a kty" },
        ["that is no object"] = { 1, "expected an object" },
        ["with a kid of the wrong type"] = { support.jwk(support.key_pair("RSA"), { kid = 1 }), "expected kid to be a string" },
        ["with an alg of the wrong type"] = { support.jwk(support.key_pair("RSA"), { alg = 1 }), "expected alg to be a string" },
        ["with padding"] = { support.jwk(support.key_pair("RSA"), { e = "AQAB=" }), "expected an RSA modulus and exponent" },
        ["with exponent 1"] = {
            support.jwk(support.key_pair("RSA"), { e = "AQ" }),
            "expected an RSA exponent that is odd, at least 3 and below 2^64, and an odd modulus",
        },
        ["of 1024 bits"] = {
            { kty = "RSA", n = support.base64url("\255" .. ("\1"):rep(127)), e = "AQAB" },
            "expected an RSA key of 2048 to 8192 bits, found 1024",
        },
        ["off its curve"] = {
            support.jwk(support.key_pair("P-256"), { y = support.jwk(support.key_pair("P-256")).x }),
            "expected a point of P-256: OpenSSL can't read it",
        },
        ["without a coordinate"] = {
            { kty = "EC", crv = "P-256", x = support.jwk(support.key_pair("P-256")).x },
            "expected both coordinates in the curve's full length",
        },
        ["of a wrong size"] = { { kty = "OKP", crv = "Ed25519", x = "AAAA" }, "expected 32 bytes for Ed25519" },
    }) do
        it("tells of a key " .. name, function()
            local keys, problems = read(support.key_set(support.jwk(support.key_pair("P-384")), case[1]))
            assert.equal(1, #keys)
            assert.same({ "keys[1]: " .. case[2] }, problems)
        end)
    end

    it("finds the key of the token's name, whose kind fits the algorithm", function()
        local source = jwks.fixed_keys(read(support.key_set(
            support.jwk(support.key_pair("RSA"), { kid = "a" }), support.jwk(support.key_pair("P-256"), { kid = "a" }),
            support.jwk(support.key_pair("RSA", 2), { kid = "b" }), support.jwk(support.key_pair("RSA"), { kid = "c", alg = "RS512" })
        )))
        local function kinds(kid, algorithm)
            local found = {}
            for index, key in ipairs(jwks.find_keys(source, kid, algorithm, 0)) do found[index] = key.kid .. key.kind end
            return found
        end
        assert.same({ "aRSA" }, kinds("a", RS256))
        assert.same({ "aEC" }, kinds("a", ES256))
        assert.same({ "bRSA" }, kinds("b", RS256))
        assert.same({}, kinds("b", ES256))
        assert.same({}, kinds("c", RS256))
        assert.same({}, kinds("d", RS256))
        assert.same({ "aRSA", "bRSA" }, kinds(nil, RS256))
    end)

    it("finds a nameless key for a token that names one, but not before the named", function()
        local nameless = jwks.fixed_keys(read(support.key_set(support.jwk(support.key_pair("RSA")))))
        assert.equal(1, #jwks.find_keys(nameless, "a", RS256, 0))
        local both = jwks.fixed_keys(read(support.key_set(
            support.jwk(support.key_pair("RSA")), support.jwk(support.key_pair("RSA", 2), { kid = "a" })
        )))
        assert.equal("a", jwks.find_keys(both, "a", RS256, 0)[1].kid)
        assert.equal(1, #jwks.find_keys(both, "a", RS256, 0))
    end)
end)

describe("keys from an address", function()
    local first = support.key_set(support.jwk(support.key_pair("RSA"), { kid = "first" }))
    local second = support.key_set(support.jwk(support.key_pair("RSA", 2), { kid = "second" }))

    it("are fetched when they are first needed, and then kept", function()
        local outside = world(first)
        local source = source_of(outside)
        assert.equal(0, outside.fetches)
        assert.equal(1, #find(source, outside, "first"))
        for _ = 1, 100 do assert.equal(1, #find(source, outside, "first")) end
        assert.equal(1, outside.fetches)
        assert.same({ 5 }, outside.waits)
        assert.equal(1, outside.changes)
    end)

    it("are fetched again for an unknown name, at most once in 30 seconds", function()
        local outside = world(first)
        local source = source_of(outside)
        find(source, outside, "first")
        for index = 1, 290 do
            outside.time = 1000 + index / 10
            assert.equal(0, #find(source, outside, "made-up-" .. index))
        end
        assert.equal(1, outside.fetches)
        outside.time = 1030
        outside.answer = second
        assert.equal("second", find(source, outside, "second")[1].kid)
        assert.equal(2, outside.fetches)
        for index = 1, 100 do find(source, outside, "made-up-" .. index) end
        assert.equal(2, outside.fetches)
    end)

    it("are replaced whole, so that a withdrawn key is gone", function()
        local outside = world(first)
        local source = source_of(outside)
        find(source, outside, "first")
        outside.time, outside.answer = 1040, second
        find(source, outside, "second")
        assert.equal(0, #find(source, outside, "first"))
        assert.equal(2, outside.changes)
    end)

    it("are fetched once for all who wait", function()
        local outside = world(first)
        local source = source_of(outside)
        local found = {}
        local threads = {}
        local new_gate = outside.new_gate
        outside.new_gate = function()
            local gate = new_gate()
            gate.wait = function() coroutine.yield() end
            return gate
        end
        for index = 1, 20 do
            threads[index] = coroutine.create(function() found[index] = #find(source, outside, "first") end)
            assert(coroutine.resume(threads[index]))
        end
        assert.equal(1, #outside.queue)
        outside.run()
        for _, thread in ipairs(threads) do assert(coroutine.resume(thread)) end
        assert.equal(1, outside.fetches)
        assert.equal(1, outside.opened)
        for index = 1, 20 do assert.equal(1, found[index]) end
    end)

    it("are waited for by name only when they are unknown", function()
        local outside = world(first)
        local source = source_of(outside)
        find(source, outside, "first")
        outside.time = 1700
        outside.waits = {}
        assert.equal(1, #find(source, outside, "first"))
        assert.same({}, outside.waits)
        assert.equal(1, #outside.queue)
        assert.equal(1, #find(source, outside, "first"))
        assert.equal(1, #outside.queue)
    end)

    it("are fetched again after ten minutes of use, in the background", function()
        local outside = world(first)
        local source = source_of(outside)
        find(source, outside, "first")
        outside.time = 1599
        find(source, outside, "first")
        assert.equal(0, #outside.queue)
        outside.time, outside.answer = 1600, second
        find(source, outside, "first")
        outside.run()
        assert.equal(2, outside.fetches)
        assert.equal(0, #find(source, outside, "first"))
        assert.equal(1, #find(source, outside, "second"))
    end)

    it("that are fetched again and are the same change nothing", function()
        local outside = world(first)
        local source = source_of(outside)
        find(source, outside, "first")
        outside.time = 1600
        find(source, outside, "first")
        outside.run()
        assert.equal(2, outside.fetches)
        assert.equal(1, outside.changes)
        outside.time = 2199
        find(source, outside, "first")
        assert.equal(0, #outside.queue)
    end)

    for name, answer in pairs({
        ["refuses"] = false, ["sends a page"] = "<html>", ["sends nothing"] = "", ["sends an empty set"] = '{"keys":[]}',
        ["sends only weak keys"] = support.key_set({ kty = "RSA", n = support.base64url(("\255"):rep(128)), e = "AQAB" }),
        ["sends only unknown kinds"] = '{"keys":[{"kty":"XYZ"}]}',
    }) do
        it("go on serving when the issuer " .. name .. ", and the operator is told", function()
            local outside = world(first)
            local source = source_of(outside)
            find(source, outside, "first")
            outside.time, outside.answer = 1600, answer
            find(source, outside, "first")
            outside.run()
            assert.equal(2, outside.fetches)
            assert.equal(1, #find(source, outside, "first"))
            assert.equal(1, #outside.reports)
            assert.truthy(outside.reports[1]:find("the keys at hand stay in use", 1, true))
            -- Tried again after 30 seconds, not ten minutes.
            outside.time = 1629
            find(source, outside, "first")
            assert.equal(0, #outside.queue)
            outside.time = 1630
            find(source, outside, "first")
            assert.equal(1, #outside.queue)
        end)
    end

    it("are tried for again after five seconds while there have never been any", function()
        local outside = world(false)
        local source = source_of(outside)
        assert.equal(0, #find(source, outside, "first"))
        outside.time = 1004.9
        find(source, outside, "first")
        assert.equal(1, outside.fetches)
        outside.time, outside.answer = 1005, first
        assert.equal(1, #find(source, outside, "first"))
        assert.truthy(outside.reports[1]:find("there are no keys yet", 1, true))
    end)

    it("that are in part unusable serve in part, and the operator is told", function()
        local outside = world(support.key_set({ kty = "RSA", n = "AA", e = "AQ" }, support.jwk(support.key_pair("RSA"), { kid = "first" })))
        assert.equal(1, #find(source_of(outside), outside, "first"))
        assert.truthy(outside.reports[1]:find("skipped keys[0]", 1, true))
    end)

    it("are fetched by the request itself where nothing can run apart from it", function()
        local outside = world(first)
        outside.threads = false
        assert.equal(1, #find(source_of(outside), outside, "first"))
        assert.same({}, outside.waits)
    end)

    it("are fetched anew when a fetch never comes back", function()
        local outside = world(first)
        local source = source_of(outside)
        outside.run = function() outside.queue = {} end
        assert.equal(0, #find(source, outside, "first"))
        outside.time = 1029
        assert.equal(0, #find(source, outside, "first"))
        assert.equal(0, outside.fetches)
        outside.run = function()
            local queue = outside.queue
            outside.queue = {}
            for _, action in ipairs(queue) do action() end
        end
        outside.time = 1030
        assert.equal(1, #find(source, outside, "first"))
    end)
end)

teardown(support.clean)
