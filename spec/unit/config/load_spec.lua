local configuration_module = require("sluice.config.configuration")
local reading = require("spec.unit.config.reading")

describe("A configuration that is right", function()
    it("is given with all its defaults", function()
        local configuration, lines = reading.load(reading.text({}))
        assert.same({}, lines)
        local digest = configuration.digest
        configuration.digest = nil
        assert.is_truthy(digest:find("^%x+$"))
        assert.same({
            file = reading.FILE,
            store = { kind = "memory" },
            auth = {},
            trusted_proxies = {},
            limits = {},
            tenants = { { id = "acme", api_keys = { { id = "web", secret = "sk-test-web" } }, models = { "*" } } },
            models = { { name = "chat", pool = "gpu", upstream_model = "chat" } },
            pools = {
                {
                    name = "gpu",
                    api = "openai",
                    endpoints = { { url = "http://10.0.0.11:8000", scheme = "http", host = "10.0.0.11", port = 8000, path = "", weight = 1 } },
                    keys = {},
                    timeouts = { connect = 2000, send = 10000, read = 60000, total = 600000 },
                    headers = {}, forward_headers = {}, forward_client_ip = false, stream_options = "include_usage",
                    balance = "least_load",
                    retries = { attempts = 3, on = { "connect", "timeout", 429, 500, 502, 503, 504, 529 }, backoff = 200 },
                    breaker = { failures = 5, window = 10000, open = 15000, share = 0.5 },
                    queue = { max_waiting = 100, timeout = 10000 },
                },
            },
            guards = {},
        }, configuration)
    end)

    it("keeps what it says itself", function()
        local configuration, lines = reading.load([[
auth:
  jwt:
    - issuer: https://id.example.com
      audience: [a, b]
      algorithms: [RS256, EdDSA]
      jwks_file: keys/set.json
      tenant_claim: org
      leeway_seconds: 1.5
trusted_proxies: [10.0.0.0/8]
tenants:
  - id: acme
    api_keys_file: /etc/keys/acme
    allow_ips: [10.0.0.0/8]
    models: [chat, "gpt-*"]
models:
  - {name: chat, pool: cloud, upstream_model: Org/Model}
pools:
  - name: cloud
    api: anthropic
    endpoints: [{url: "https://A.example/base/"}, {url: "https://b.example:8443"}]
    keys: [{id: main, secret: sk-1}]
    timeouts: {connect: 200ms, read: 5m}
]])
        assert.same({}, lines)
        assert.same({
            {
                issuer = "https://id.example.com", audience = { "a", "b" }, algorithms = { "RS256", "EdDSA" },
                jwks_file = "/etc/sluice/keys/set.json", tenant_claim = "org", leeway_seconds = 1.5,
            },
        }, configuration.auth.jwt)
        assert.same({ "10.0.0.0/8" }, configuration.trusted_proxies)
        assert.same({ "chat", "gpt-*" }, configuration.tenants[1].models)
        assert.equals("Org/Model", configuration.models[1].upstream_model)
        local pool = configuration.pools[1]
        assert.equals("anthropic", pool.api)
        assert.same({ "a.example", 443, "/base" }, { pool.endpoints[1].host, pool.endpoints[1].port, pool.endpoints[1].path })
        assert.same({ connect = 200, send = 10000, read = 300000, total = 600000 }, pool.timeouts)
        assert.same({ { id = "main", secret = "sk-1", weight = 1 } }, pool.keys)
        assert.same({ reading.FILE, "/etc/sluice/keys/set.json", "/etc/keys/acme" }, configuration_module.files(configuration))
    end)

    it("may have a hash of nothing but digits, and names that are numbers, without quotes", function()
        for _, hash in ipairs({ ("1"):rep(64), "1e" .. ("5"):rep(62), ("0"):rep(64) }) do
            local configuration, lines = reading.load(
                reading.text({ tenants = "tenants: [{id: 2024, api_keys: [{id: 007, sha256: " .. hash .. "}]}]\n" }))
            assert.same({}, lines)
            assert.equals("2024", configuration.tenants[1].id)
            assert.same({ id = "007", sha256 = hash }, configuration.tenants[1].api_keys[1])
        end
    end)

    it("may have names that YAML 1.1 took for booleans", function()
        local configuration = reading.load(reading.text({ tenants = "tenants: [{id: no}, {id: on}, {id: y}]\n" }))
        assert.same({ "no", "on", "y" }, { configuration.tenants[1].id, configuration.tenants[2].id, configuration.tenants[3].id })
    end)

    it("may have one audience as a text", function()
        local configuration = reading.load(
            reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], jwks_file: d}]}\n" }))
        assert.equals("b", configuration.auth.jwt[1].audience)
        assert.equals("tenant", configuration.auth.jwt[1].tenant_claim)
        assert.equals(30, configuration.auth.jwt[1].leeway_seconds)
    end)

    it("names each of its files once", function()
        local configuration = reading.load(
            reading.text({ tenants = "tenants: [{id: a, api_keys_file: k}, {id: b, api_keys_file: k}, {id: c, api_keys_file: sluice.yaml}]\n" }))
        assert.same({ reading.FILE, "/etc/sluice/k" }, configuration_module.files(configuration))
    end)

    it("has guards, whose lists have names and are files of it", function()
        local configuration, lines = reading.load(reading.text({
            tenants = "tenants: [{id: a, guard: strict}, {id: b}]\n",
            more = "guards:\n  - name: strict\n    lexicons: [{file: a/words.txt}, {file: /etc/敏感.txt, action: mask}, " ..
                "{file: c.lex, name: third, whole_words: never, separators: exact}]\n    patterns: {email: off}\n" ..
                "  - {name: more, on: [completion], lexicons: [{file: a/words.txt}], patterns: {us_ssn: flag}}\n",
        }))
        assert.same({}, lines)
        assert.same({
            {
                name = "strict", on = { "prompt", "completion" }, patterns = { email = "off" },
                lexicons = {
                    { file = "/etc/sluice/a/words.txt", name = "words.txt", action = "block" },
                    { file = "/etc/敏感.txt", name = "______.txt", action = "mask" },
                    { file = "/etc/sluice/c.lex", name = "third", action = "block", whole_words = "never", separators = "exact" },
                },
            },
            {
                name = "more", on = { "completion" }, patterns = { us_ssn = "flag" },
                lexicons = { { file = "/etc/sluice/a/words.txt", name = "words.txt", action = "block" } },
            },
        }, configuration.guards)
        assert.equals("strict", configuration.tenants[1].guard)
        assert.same({ reading.FILE, "/etc/sluice/a/words.txt", "/etc/敏感.txt", "/etc/sluice/c.lex" },
            configuration_module.files(configuration))
    end)

    it("in the root folder, or named without a folder, finds its files there", function()
        local load = require("sluice.config.load").load
        local text = reading.text({ tenants = "tenants: [{id: a, api_keys_file: k}]\n" })
        for path, expected in pairs({ ["/s.yaml"] = "/./k", ["s.yaml"] = "k", ["a/s.yaml"] = "a/k" }) do
            local configuration = load(path, reading.tools({ [path] = text }))
            assert.equals(expected, configuration.tenants[1].api_keys_file)
        end
    end)

    it("pauses while it is checked", function()
        local parts = {}
        for index = 1, 3000 do
            parts[index] = ("  - {id: t%d}\n"):format(index)
        end
        local pauses = 0
        local tools = reading.tools({ [reading.FILE] = reading.text({ tenants = "tenants:\n" .. table.concat(parts) }) })
        tools.pause = function() pauses = pauses + 1 end
        assert.is_not_nil((require("sluice.config.load").load(reading.FILE, tools)))
        assert.is_true(pauses >= 20, tostring(pauses))
    end)
end)

describe("The schema", function()
    it("describes every member", function()
        local function visit(schema, path)
            for name, member in pairs(schema.properties or {}) do
                assert.is_truthy((member.description or ""):find("%.$"), path .. "." .. name)
                visit(member, path .. "." .. name)
            end
            if schema.items then
                visit(schema.items, path .. "[]")
            end
        end
        visit(configuration_module.CONFIGURATION_SCHEMA, "")
    end)

    it("has defaults that it accepts itself", function()
        local check = require("sluice.config.check").check
        local problem_list = require("sluice.config.problem").problem_list
        local yaml = require("sluice.config.yaml")
        local count = 0
        local function visit(schema, path)
            if schema.default ~= nil and schema.type ~= "array" then
                local list = problem_list(10)
                local text = type(schema.default) == "table" and "{}" or tostring(schema.default)
                check(schema, yaml.parse(text, list, function() end), "", list, function() end)
                assert.same({}, list.problems, path)
                count = count + 1
            end
            for name, member in pairs(schema.properties or {}) do
                visit(member, path .. "." .. name)
            end
            if schema.items then
                visit(schema.items, path .. "[]")
            end
        end
        visit(configuration_module.CONFIGURATION_SCHEMA, "")
        assert.is_true(count >= 6)
    end)
end)
