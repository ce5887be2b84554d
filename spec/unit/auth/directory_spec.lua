local crypto = require("sluice.edge.crypto")
local directory_module = require("sluice.auth.directory")
local support = require("spec.unit.auth.support")

local SECRET = ("0123456789abcdef"):rep(4)

-- Everything that is wrong with a configuration, as `path: message`.
local function problems_of(auth, tenants, files)
    local _, problems = directory_module.build_directory(auth, tenants or {}, support.tools(files))
    local told = {}
    for index, problem in ipairs(problems) do told[index] = problem.path .. ": " .. problem.message end
    return told
end

local function issuer(changes)
    local made = { issuer = "joe", audience = "sluice", algorithms = { "RS256" } }
    for name, value in pairs(changes) do made[name] = value end
    return { jwt = { made } }
end

describe("the directory", function()
    it("may be empty, and then knows nobody", function()
        local directory, problems = directory_module.build_directory(nil, {}, support.tools())
        assert.same({}, problems)
        assert.is_false(directory.accepts_tokens)
        assert.is_nil(next(directory.tenants))
    end)

    it("tells of everything that is wrong at once, each with its place", function()
        local hash = crypto.sha256_hex("one")
        assert.same({
            "auth.jwt[1].algorithms[0]: expected HS256, HS384 or HS512 with a secret",
            "auth.jwt[1].issuer: expected an issuer that no other entry has",
            "tenants[0].allow_ips[1]: expected no bits set after the first 8",
            "tenants[0].api_keys[1].sha256: expected a key that no other entry has",
            "tenants[0].api_keys[2].id: expected an id that no other key of the tenant has",
            "tenants[0].api_keys[3].sha256: expected a SHA-256 of 64 hexadecimal digits",
            "tenants[0].api_keys[4].secret: expected a key of visible ASCII characters without spaces",
            "tenants[0].api_keys_file: expected a file that can be read: No such file or directory",
            "tenants[1].id: expected an id that no other tenant has",
            "tenants[1].api_keys[0].secret: expected a key that no other entry has",
            "tenants[1].api_keys_file: acme.keys, line 2: expected `id sha256`",
        }, problems_of({
            jwt = {
                { issuer = "joe", audience = "sluice", algorithms = { "HS256" }, secret = SECRET },
                { issuer = "joe", audience = "sluice", algorithms = { "RS256", "HS256" }, secret = SECRET },
            },
        }, {
            {
                id = "acme",
                allow_ips = { "10.0.0.0/8", "10.0.0.1/8" },
                api_keys = {
                    { id = "a", sha256 = hash }, { id = "b", sha256 = hash:upper() }, { id = "a", sha256 = crypto.sha256_hex("two") },
                    { id = "c", sha256 = "x" }, { id = "d", secret = "with space" },
                },
                api_keys_file = "missing.keys",
            },
            { id = "acme", api_keys = { { id = "a", secret = "one" } }, api_keys_file = "acme.keys" },
        }, { ["acme.keys"] = "x " .. crypto.sha256_hex("three") .. "\nnonsense\n" }))
    end)

    local rsa = support.key_pair("RSA").pem
    for name, case in pairs({
        ["a secret too short for HS256"] = {
            { algorithms = { "HS256" }, secret = SECRET:sub(1, 31) }, "auth.jwt[0].secret: expected at least 32 bytes for HS256",
        },
        ["a secret too short for HS384"] = {
            { algorithms = { "HS384" }, secret = SECRET:sub(1, 47) }, "auth.jwt[0].secret: expected at least 48 bytes for HS384",
        },
        ["a secret too short for HS512"] = {
            { algorithms = { "HS512" }, secret = SECRET:sub(1, 63) }, "auth.jwt[0].secret: expected at least 64 bytes for HS512",
        },
        ["an HMAC algorithm with a public key"] = {
            { algorithms = { "RS256", "HS256" }, public_key_file = "key.pem" }, "auth.jwt[0].algorithms[1]: expected an algorithm for public keys",
        },
        ["an HMAC algorithm with a key set's address"] = {
            { algorithms = { "HS256" }, jwks_url = "https://id.example.com/" }, "auth.jwt[0].algorithms[0]: expected an algorithm for public keys",
        },
        ["the algorithm none"] = {
            { algorithms = { "RS256", "none" }, public_key_file = "key.pem" },
            "auth.jwt[0].algorithms[1]: expected a signature algorithm such as RS256",
        },
        ["a key of another kind"] = {
            { algorithms = { "ES256" }, public_key_file = "key.pem" }, "auth.jwt[0].public_key_file: expected a key for one of the algorithms",
        },
        ["a missing key"] = {
            { public_key_file = "other.pem" }, "auth.jwt[0].public_key_file: expected a file that can be read: No such file or directory",
        },
        ["a weak key"] = {
            { public_key_file = "weak.pem" }, "auth.jwt[0].public_key_file: expected an RSA key of 2048 to 8192 bits, found 1024",
        },
        ["a key set for a key"] = {
            { public_key_file = "keys.json" },
            "auth.jwt[0].public_key_file: expected one PEM block that begins with -----BEGIN PUBLIC KEY-----",
        },
        ["a missing key set"] = {
            { jwks_file = "other.json" }, "auth.jwt[0].jwks_file: expected a file that can be read: No such file or directory",
        },
        ["an empty key set"] = { { jwks_file = "empty.json" }, "auth.jwt[0].jwks_file: expected a key for one of the algorithms" },
        ["a key set with a weak key beside a good one"] = {
            { jwks_file = "keys.json" }, "auth.jwt[0].jwks_file: keys[1]: expected an RSA key of 2048 to 8192 bits, found 1024",
        },
        ["a key set that is none"] = {
            { jwks_file = "key.pem" }, "auth.jwt[0].jwks_file: expected a JSON Web Key Set: it is not JSON (byte 2)",
        },
    }) do
        it("refuses " .. name, function()
            assert.same({ case[2] }, problems_of(issuer(case[1]), {}, {
                ["key.pem"] = rsa,
                ["weak.pem"] = support.run("openssl genrsa 1024 | openssl rsa -pubout"),
                ["empty.json"] = '{"keys":[]}',
                ["keys.json"] = support.key_set(
                    support.jwk(support.key_pair("RSA")), { kty = "RSA", n = support.base64url(("\255"):rep(128)), e = "AQAB" }
                ),
            }))
        end)
    end

    for url, good in pairs({
        ["https://id.example.com/keys"] = true, ["https://id.example.com:8443/keys?x=y"] = true, ["https://[2001:db8::1]/keys"] = true,
        ["HTTPS://id.example.com/"] = true, ["http://127.0.0.1:9000/keys"] = true, ["http://127.8.9.1/keys"] = true,
        ["http://localhost/keys"] = true, ["http://[::1]:9000/keys"] = true,
        ["http://id.example.com/keys"] = false, ["http://127.0.0.1.example.com/keys"] = false, ["http://127.0.0.1@example.com/keys"] = false,
        ["http://localhost.example.com/keys"] = false, ["http://[2001:db8::1]/keys"] = false, ["http://10.0.0.1/"] = false,
        ["ftp://127.0.0.1/keys"] = false, ["file:///etc/passwd"] = false, ["keys.json"] = false, [""] = false,
        ["http://example.com#@127.0.0.1/"] = false,
    }) do
        it(("%s fetch keys from %q"):format(good and "may" or "may not", url), function()
            local expected = {}
            if not good then expected[1] = "auth.jwt[0].jwks_url: expected an https address, or http on a loopback address" end
            assert.same(expected, problems_of(issuer({ jwks_url = url })))
        end)
    end

    it("never repeats a secret", function()
        local told = table.concat(problems_of(issuer({ algorithms = { "HS512" }, secret = "canary-secret" }), {
            { id = "acme", api_keys = { { id = "a", secret = "canary\nkey" }, { id = "b", sha256 = "canary-hash" } }, api_keys_file = "x" },
        }, { x = "canary-id canary-line\n" }), "\n")
        assert.is_nil(told:find("canary", 1, true))
    end)

    it("pauses while it adds many keys", function()
        local keys = {}
        for index = 1, 3500 do keys[index] = { id = "k" .. index, secret = "secret-" .. index } end
        local tools = support.tools()
        local _, problems = directory_module.build_directory(nil, { { id = "acme", api_keys = keys } }, tools)
        assert.same({}, problems)
        assert.equal(3, tools.pauses)
    end)

    it("takes over keys that were fetched, if they come from the same address", function()
        local fetches = 0
        local fetching = {
            fetch = function()
                fetches = fetches + 1
                return support.key_set(support.jwk(support.key_pair("RSA"), { kid = "a" }))
            end,
            now = function() return 1000 end,
            later = function() return false end,
            new_gate = function() return { wait = function() end, open = function() end } end,
            report = function() end,
        }
        local jwks = require("sluice.auth.jwks")
        local algorithm = require("sluice.auth.public_key").ALGORITHMS.RS256
        local function build(url, previous)
            return (directory_module.build_directory(issuer({ jwks_url = url }), {}, support.tools(nil, fetching, previous)))
        end
        local first = build("https://id.example.com/keys")
        assert.equal(1, #jwks.find_keys(first.issuers.joe.keys, "a", algorithm, 1000))
        local second = build("https://id.example.com/keys", first)
        assert.equal(1, #jwks.find_keys(second.issuers.joe.keys, "a", algorithm, 1001))
        assert.equal(1, fetches)
        local third = build("https://other.example.com/keys", second)
        assert.equal(0, #third.issuers.joe.keys.keys)
    end)

    teardown(support.clean)
end)
