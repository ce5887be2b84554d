local table_module = require("sluice.route.table")

local GPU, CLOUD = { name = "gpu" }, { name = "cloud" }
-- Called with a dot, as the snapshot gives them.
local TOOLS = {
    make_price = function(price) return price end,
    upstreams_of = function() end,
    make_matcher = function() end,
}

local function built()
    return table_module.build({
        { name = "chat", pool = "gpu", upstream_model = "Qwen/Qwen2.5-72B-Instruct" },
        { name = "gpt-4o", pool = "cloud", upstream_model = "gpt-4o" },
        { name = "chat-small", pool = "gpu", upstream_model = "Qwen/Qwen2.5-7B-Instruct" },
    }, { gpu = GPU, cloud = CLOUD }, TOOLS)
end

describe("the route table", function()
    it("finds a model by its name, with its pool and what the pool calls it", function()
        local model = table_module.find_model(built(), "chat")
        assert.equal("chat", model.name)
        assert.equal("Qwen/Qwen2.5-72B-Instruct", model.upstream_model)
        assert.equal(GPU, model.pool)
        assert.equal(CLOUD, table_module.find_model(built(), "gpt-4o").pool)
    end)

    it("has none of any other name", function()
        for _, name in ipairs({ "", "Chat", "chat ", "chat-", "cha", "*", "gpu", "Qwen/Qwen2.5-72B-Instruct", "__index", "chat\0" }) do
            assert.is_nil(table_module.find_model(built(), name))
        end
    end)

    it("lists the models in the order of the configuration", function()
        local names = {}
        for index, model in ipairs(built().in_order) do
            names[index] = model.name
        end
        assert.same({ "chat", "gpt-4o", "chat-small" }, names)
    end)

    it("knows which models take the place of others, also of ones that come later", function()
        local made = table_module.build({
            { name = "a", pool = "gpu", upstream_model = "a", fallback = { "c", "b" } },
            { name = "b", pool = "cloud", upstream_model = "b", fallback = {} },
            { name = "c", pool = "cloud", upstream_model = "c", fallback = { "a" } },
        }, { gpu = GPU, cloud = CLOUD }, TOOLS)
        local by_name = made.by_name
        assert.same({ by_name.c, by_name.b }, by_name.a.fallbacks)
        assert.is_nil(by_name.b.fallbacks)
        assert.equal(by_name.a, by_name.c.fallbacks[1])
    end)

    it("lists models that are rules, and has them by themselves", function()
        local made = table_module.build({
            { name = "any", choose = { { use = "a" } } }, { name = "a", pool = "gpu", upstream_model = "a" },
        }, { gpu = GPU }, TOOLS)
        assert.same({ "any", "a" }, made.names)
        assert.equal(made.by_name.a, made.choices.any[1].model)
        assert.is_true(table_module.is_known(made, "any"))
        assert.is_true(table_module.is_known(made, "a"))
        assert.is_false(table_module.is_known(made, "b"))
        assert.is_nil(table_module.find_model(made, "any"))
    end)

    it("knows where a model is found, by its endpoint or by itself", function()
        local first, second = { index = 0, upstream = { chat = "one" } }, { index = 1, upstream = { chat = "two" } }
        local pool = { endpoints = { first, second } }
        local tools = { make_price = TOOLS.make_price, upstreams_of = function(_, name)
            return name == "own" and { { chat = "own one" }, { chat = "own two" } } or nil
        end }
        local made = table_module.build({
            { name = "a", pool = "gpu", upstream_model = "own" }, { name = "b", pool = "gpu", upstream_model = "b" },
        }, { gpu = pool }, tools).by_name
        assert.equal("own two", table_module.upstream_of(made.a, second, "chat"))
        assert.equal("two", table_module.upstream_of(made.b, second, "chat"))
        assert.is_true(table_module.serves(made.a, "chat"))
        assert.is_false(table_module.serves(made.a, "responses"))
        assert.is_false(table_module.serves(made.b, "responses"))
    end)

    it("may be empty", function()
        local empty = table_module.build({}, {}, TOOLS)
        assert.same({}, empty.in_order)
        assert.is_nil(table_module.find_model(empty, "chat"))
    end)
end)
