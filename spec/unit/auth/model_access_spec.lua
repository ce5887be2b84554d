local model_access = require("sluice.auth.model_access").model_access

describe("model access", function()
    for name, case in pairs({
        ["nothing is allowed by no patterns"] = { {}, { chat = false, [""] = false, ["*"] = false } },
        ["a star allows all"] = { { "*" }, { chat = true, [""] = true, ["a/b:c"] = true } },
        ["a name allows itself only"] = { { "chat" }, { chat = true, chat2 = false, ["a-chat"] = false, Chat = false, cha = false } },
        ["a star at the end"] = { { "gpt-*" }, { ["gpt-"] = true, ["gpt-4o"] = true, gpt = false, ["my-gpt-4o"] = false } },
        ["a star at the beginning"] = { { "*-mini" }, { ["-mini"] = true, ["a-mini"] = true, ["a-mini-2"] = false, mini = false } },
        ["a star in the middle"] = { { "a*c" }, { ac = true, abc = true, ab = false, bc = false, a = false, ["abcd"] = false } },
        ["both ends don't share characters"] = { { "aba*aba" }, { aba = false, abaaba = true, ababa = false, abaxaba = true } },
        ["several stars"] = {
            { "*qwen*72b*" },
            { ["qwen72b"] = true, ["Q/qwen2.5-72b-it"] = true, ["72b-qwen"] = false, qwen = false },
        },
        ["pieces in their order"] = { { "a*b*c" }, { abc = true, axbxc = true, acb = false, ac = false, abxbc = true } },
        ["a middle piece doesn't reach into the last"] = { { "a*bc*c" }, { abc = false, abcc = true } },
        ["two stars in a row are one"] = { { "a**b" }, { ab = true, axb = true, a = false } },
        ["pattern characters of Lua are plain"] = {
            { "a.c", "%a*", "[x]*", "gpt-4.*" },
            { abc = false, ["a.c"] = true, ["%a1"] = true, b = false, ["[x]y"] = true, x = false, ["gpt-4.1"] = true, ["gpt-4o"] = false },
        },
        ["names and patterns together"] = { { "chat", "text-*" }, { chat = true, ["text-1"] = true, other = false } },
    }) do
        it(name, function()
            local allows = model_access(case[1])
            for model, allowed in pairs(case[2]) do
                assert.equal(allowed, allows(model), model)
                assert.equal(allowed, allows(model), model .. ", remembered")
            end
        end)
    end

    it("isn't slowed down by a pattern of many stars", function()
        local allows = model_access({ ("a*"):rep(30) .. "b" })
        assert.is_false(allows(("a"):rep(20000) .. "c"))
        assert.is_true(allows(("a"):rep(20000) .. "b"))
    end)

    it("decides right after more names than it remembers", function()
        local allows = model_access({ "even-*" })
        for index = 1, 5000 do
            assert.is_true(allows("even-" .. index))
            assert.is_false(allows("odd-" .. index))
        end
    end)
end)
