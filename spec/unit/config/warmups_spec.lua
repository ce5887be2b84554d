local reading = require("spec.unit.config.reading")
local configuration_module = require("sluice.config.configuration")
local crypto = require("sluice.edge.crypto")
local json = require("sluice.wire.json")
local shape = require("sluice.wire.shape")
local warmups = require("sluice.config.warmups")

local POOLS = [[
pools:
  - {name: one, endpoints: [{url: "http://10.0.0.1"}]}
  - {name: two, endpoints: [{url: "http://10.0.0.2"}], warmup: {body_file: a.json}}
  - {name: three, endpoints: [{url: "http://10.0.0.3"}], warmup: {body_file: /srv/b.json, path: /v1/completions, timeout: 5m}}
]]

local walk = json.walker(shape.compile({}), json.NO_SINK)

local function configuration()
    local made, lines = reading.load(reading.text({ models = "models: [{name: chat, pool: one}]\n", pools = POOLS }))
    assert.same({}, lines)
    return made
end

local function read(files)
    local digests = {}
    local made = configuration()
    local problems = warmups.read_warmups(made.pools, reading.tools(files), function(text) return json.check(walk, text) end, digests)
    return made, problems, digests
end

describe("the bodies that endpoints are warmed up with", function()
    it("are files of the configuration", function()
        assert.same({ reading.FILE, "/etc/sluice/a.json", "/srv/b.json" }, configuration_module.files(configuration()))
    end)

    it("are taken as they are, and part of its version", function()
        local first, second = '{ "a" : 1.0 }\n', '{"b":"\\u00e9"}'
        local made, problems, digests = read({ ["/etc/sluice/a.json"] = first, ["/srv/b.json"] = second })
        assert.same({}, problems)
        assert.is_nil(made.pools[1].warmup)
        assert.same({ path = "/v1/chat/completions", body_file = "/etc/sluice/a.json", timeout = 600000, body = first }, made.pools[2].warmup)
        assert.same({ path = "/v1/completions", body_file = "/srv/b.json", timeout = 300000, body = second }, made.pools[3].warmup)
        assert.same({ crypto.sha256_hex(first), crypto.sha256_hex(second) }, digests)
    end)

    it("are refused if they are missing, no JSON, or too long, each by its path", function()
        local huge = '"' .. ("x"):rep(1048575) .. '"'
        for _, text in ipairs({ "", "{", "{} {}", '{"a":1,"a":2}', "\255", huge }) do
            local _, problems = read({ ["/srv/b.json"] = text })
            assert.equal(2, #problems)
            assert.equal("pools[1].warmup.body_file", problems[1].path)
            assert.truthy(problems[1].message:find("/etc/sluice/a.json: can't be read", 1, true))
            assert.equal("pools[2].warmup.body_file", problems[2].path)
            assert.truthy(problems[2].message:find("/srv/b.json: expected", 1, true))
        end
    end)
end)

describe("watching endpoints", function()
    it("has defaults", function()
        local made, lines = reading.load(reading.text({
            pools = 'pools: [{name: gpu, endpoints: [{url: "http://a"}], health: {}, scrape: {engine: sglang}}]\n',
        }))
        assert.same({}, lines)
        assert.same({ path = "/health", interval = 2000, timeout = 1000, healthy = 2, unhealthy = 3, slow_start = 30000 }, made.pools[1].health)
        assert.same({ engine = "sglang", path = "/metrics", interval = 500 }, made.pools[1].scrape)
        assert.is_nil(made.pools[1].warmup)
    end)

    it("is refused with members that make no sense", function()
        for member, path in pairs({
            ["health: {path: health}"] = "health.path", ["health: {path: /a b}"] = "health.path", ["health: {path: /../x}"] = "health.path",
            ["health: {interval: 99ms}"] = "health.interval", ["health: {timeout: 61s}"] = "health.timeout",
            ["health: {healthy: 0}"] = "health.healthy",
            ["health: {slow_start: 2h}"] = "health.slow_start", ["health: {pth: /x}"] = "health", ["warmup: {}"] = "warmup.body_file",
            ["scrape: {}"] = "scrape.engine", ["scrape: {engine: tgi}"] = "scrape.engine",
            ["scrape: {engine: vllm, interval: 10ms}"] = "scrape.interval",
        }) do
            local made, lines = reading.load(reading.text({ pools = 'pools: [{name: gpu, endpoints: [{url: "http://a"}], ' .. member .. "}]\n" }))
            assert.is_nil(made, member)
            assert.truthy(lines[1]:find("pools[0]." .. path, 1, true), lines[1])
        end
    end)
end)
