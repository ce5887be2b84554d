-- The schema that editors get, held against the checker: what one refuses for its form, the other refuses too.

local json_schema = require("sluice.config.json_schema").json_schema
local problem_list = require("sluice.config.problem").problem_list
local reading = require("spec.unit.config.reading")
local yaml = require("sluice.config.yaml")
local encode = require("cjson.safe").encode

local function contents(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

--- A tree of YAML nodes as JSON.
local function json(node)
    local parts = {}
    if node.kind == "mapping" then
        for index, name in ipairs(node.names) do
            parts[index] = encode(name) .. ":" .. json(node.values[index])
        end
        return "{" .. table.concat(parts, ",") .. "}"
    elseif node.kind == "sequence" then
        for index, item in ipairs(node.items) do
            parts[index] = json(item)
        end
        return "[" .. table.concat(parts, ",") .. "]"
    end
    local kind, value = "string", node.text
    if node.plain then
        kind, value = require("sluice.config.scalar").resolve(node.text)
    end
    return kind == "null" and "null" or encode(value)
end

--- What a validator of JSON Schema says to each YAML text.
local function validated(texts)
    local documents = {}
    for index, text in ipairs(texts) do
        local list = problem_list(10)
        local tree = yaml.parse(text, list, function() end)
        assert.same({}, list.problems)
        documents[index] = json(tree)
    end
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write("{\"schema\":", json_schema(), ",\"documents\":[", table.concat(documents, ","), "]}")
    file:close()
    local output = assert(io.popen("node spec/unit/config/validate.mjs " .. path .. " 2>&1"))
    local lines = {}
    for line in output:lines() do
        lines[#lines + 1] = line
    end
    output:close()
    os.remove(path)
    assert.equals(#texts, #lines, table.concat(lines, "\n"))
    return lines
end

describe("The JSON Schema", function()
    it("is the one that is shipped", function()
        assert.equals(json_schema(), contents("nginx/sluice.schema.json"))
    end)

    it("has no member that the example leaves out", function()
        local example = contents("nginx/sluice.yaml")
        local count = 0
        local function visit(schema)
            for name, member in pairs(schema.properties or {}) do
                assert.is_truthy(example:find("%f[%w_]" .. name .. "%f[^%w_]"), name)
                count = count + 1
                visit(member)
            end
            if schema.items then
                visit(schema.items)
            end
        end
        visit(require("sluice.config.configuration").CONFIGURATION_SCHEMA)
        assert.is_true(count > 30)
    end)

    it("accepts what the checker accepts", function()
        local texts = {
            contents("nginx/sluice.yaml"),
            contents("nginx/demo.yaml"),
            reading.text({}),
            reading.text({
                more = "auth:\n  jwt:\n    - issuer: a\n      audience: [b]\n      algorithms: [RS256]\n" ..
                    "      jwks_file: d\n      leeway_seconds: \"${LEEWAY:-5}\"\n",
            }),
            reading.text({
                pools = "pools: [{name: gpu, api: \"${API:-openai}\", endpoints: [{url: \"${URL:-http://a}\"}], " ..
                    "timeouts: {read: \"${READ:-1m}\"}}]\n",
            }),
            reading.text({ tenants = "tenants: []\n" }),
        }
        local values = {
            BATCH_TOKEN_SECRET = ("s"):rep(32), ACME_MOBILE_KEY = "sk-acme-mobile", CLOUD_KEY = "sk-cloud", CLOUD_EU_KEY = "sk-cloud-eu",
            AZURE_KEY = "sk-azure",
        }
        for index, verdict in ipairs(validated(texts)) do
            assert.equals("valid", verdict, texts[index])
            local configuration, lines = reading.load(texts[index], values)
            assert.is_not_nil(configuration, table.concat(lines, "\n"))
        end
    end)

    it("refuses what the checker refuses for its form", function()
        local texts = {
            "[]\n",
            reading.text({ more = "budgets: {}\n" }),
            reading.text({ more = "limits: {body: 32MB}\n" }),
            reading.text({ more = "cors: {}\n" }),
            reading.text({ more = "cors: {origins: [\"https://a/\"]}\n" }),
            reading.text({ more = "cors: {origins: [\"null\"]}\n" }),
            reading.PARTS.tenants .. reading.PARTS.models,
            reading.text({ tenants = "tenants: {}\n" }),
            reading.text({ tenants = "tenants: ~\n" }),
            reading.text({ tenants = "tenants: [{id: a b}]\n" }),
            reading.text({ tenants = "tenants: [{id: a, limits: {requests_per_minute: 0}}]\n" }),
            reading.text({ tenants = "tenants: [{id: a, api_keys: [{id: b}]}]\n" }),
            reading.text({ tenants = "tenants: [{id: a, api_keys: [{id: b, sha256: c}]}]\n" }),
            reading.text({ models = "models: []\n" }),
            reading.text({ models = "models: [{name: a}]\n" }),
            reading.text({ models = "models: [{name: \"a b\", pool: gpu}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, endpoints: []}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"ftp://a\"}]}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://u@a\"}]}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, api: cohere, endpoints: [{url: \"http://a\"}]}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, headers: {A: \"b\\nc: d\"}, endpoints: [{url: \"http://a\"}]}]\n" }),
            reading.text({ models = "models: [{name: a, pool: gpu, choose: [{use: b}]}, {name: b, pool: gpu}]\n" }),
            reading.text({ models = "models: [{name: a, choose: [{use: b, when: {hours: \"6-8\"}}, {use: b}]}, {name: b, pool: gpu}]\n" }),
            reading.text({ models = "models: [{name: a, choose: [{use: b, when: {}}, {use: b}]}, {name: b, pool: gpu}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], timeouts: {read: 60}}]\n" }),
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [{id: a, secret: \"b c\"}]}]\n" }),
            reading.text({ more = "trusted_proxies: [localhost]\n" }),
            reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [none], jwks_file: c}]}\n" }),
            reading.text({ more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [HS256]}]}\n" }),
            reading.text({
                more = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], jwks_file: c, leeway_seconds: 601}]}\n",
            }),
        }
        for index, verdict in ipairs(validated(texts)) do
            assert.is_truthy(verdict:find("^invalid"), texts[index])
            local configuration = reading.load(texts[index])
            assert.is_nil(configuration, texts[index])
        end
    end)
end)
