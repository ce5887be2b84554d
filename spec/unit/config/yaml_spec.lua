local problem_list = require("sluice.config.problem").problem_list
local line_at = require("sluice.config.node").line_at
local resolve = require("sluice.config.scalar").resolve
local yaml = require("sluice.config.yaml")

--- Parses a text. Returns the tree and the problems.
local function parse(text, pause)
    local list = problem_list(100)
    return yaml.parse(text, list, pause or function() end), list.problems
end

--- The plain value of a node: texts as they stand, so that nothing is lost.
local function plain(node)
    if node.kind == "scalar" then
        return node.text
    elseif node.kind == "sequence" then
        local items = {}
        for index, item in ipairs(node.items) do
            items[index] = plain(item)
        end
        return items
    end
    local members = {}
    for index, name in ipairs(node.names) do
        members[name] = plain(node.values[index])
    end
    return members
end

describe("The YAML reader", function()
    it("refuses a bomb of aliases without expanding it", function()
        local parts = { "a: &a [x, x, x, x, x, x, x, x, x]\n" }
        for index = 1, 12 do
            local before, name = string.char(96 + index), string.char(97 + index)
            parts[#parts + 1] = name .. ": &" .. name .. " [" .. ("*" .. before .. ", "):rep(9) .. "*" .. before .. "]\n"
        end
        local before = collectgarbage("count")
        local tree, problems = parse(table.concat(parts))
        assert.equals(13, #problems)
        assert.is_truthy(problems[13].message:find("aliases", 1, true))
        assert.equals("refused", tree.values[13].kind)
        assert.is_true(collectgarbage("count") - before < 1000)
    end)

    it("refuses what is nested too deep, without a stack of its size", function()
        for _, opening in ipairs({ "[", "{a: ", "- ", "? " }) do
            local tree, problems = parse(opening:rep(200000))
            assert.is_nil(tree)
            assert.equals("nested more than 32 deep", problems[1].message)
        end
        assert.is_not_nil((parse(("["):rep(32) .. ("]"):rep(32))))
        assert.is_nil((parse(("["):rep(33) .. ("]"):rep(33))))
    end)

    it("goes on after a part that it refuses", function()
        local tree, problems = parse("a: &x {b: [1, {c: 2}], d: 3}\ne: *x\nf: !!int 4\ng: 5\n")
        assert.equals(3, #problems)
        assert.same({ "a", "e", "f" }, { problems[1].path, problems[2].path, problems[3].path })
        assert.same({ "a", "e", "f", "g" }, tree.names)
        assert.equals("5", tree.values[4].text)
    end)

    it("tells an empty list from an empty mapping, and keeps the order and the lines", function()
        local tree = parse("b: []\na: {}\n\nc:\n  - 1\n")
        assert.same({ "b", "a", "c" }, tree.names)
        assert.same({ "sequence", "mapping", "sequence" }, { tree.values[1].kind, tree.values[2].kind, tree.values[3].kind })
        assert.same({ 1, 2, 5 }, { tree.values[1].line, tree.values[2].line, tree.values[3].items[1].line })
    end)

    it("reads a byte order mark, CRLF and text beyond ASCII", function()
        local tree = parse("\xef\xbb\xbfa: \"\xe4\xbd\xa0\xe5\xa5\xbd\"\r\nb: |\r\n  x\r\n  y\r\n")
        assert.same({ a = "\xe4\xbd\xa0\xe5\xa5\xbd", b = "x\ny\n" }, plain(tree))
    end)

    it("finds an escaped zero byte behind text beyond ASCII, and lets an escaped backslash be", function()
        for _, escape in ipairs({ "\\0", "\\x00", "\\u0000", "\\U00000000", "\\\\\\0" }) do
            local _, problems = parse("\xef\xbb\xbf# \xf0\x9f\x98\x80\nz: \"\xe4\xbd\xa0\"\na: \"b" .. escape .. "\"\n")
            assert.equals(1, #problems, escape)
            assert.equals("a", problems[1].path)
        end
        local tree, problems = parse("# \xe4\xbd\xa0 \\0\na: \"\xe4\xbd\xa0\\\\0\"\nb: '\\0'\n")
        assert.same({}, problems)
        assert.same({ a = "\xe4\xbd\xa0\\0", b = "\\0" }, plain(tree))
    end)

    it("pauses while it reads", function()
        local pauses = 0
        parse("a:\n" .. ("  - b\n"):rep(5000), function() pauses = pauses + 1 end)
        assert.equals(5, pauses)
    end)

    it("can be resumed while it pauses", function()
        local reader = coroutine.wrap(function()
            return parse("a:\n" .. ("  - b\n"):rep(3000), coroutine.yield)
        end)
        local rounds, tree = 0, reader()
        while tree == nil do
            rounds = rounds + 1
            tree = reader()
        end
        assert.equals(3, rounds)
        assert.equals(3000, #tree.values[1].items)
    end)

    it("finds the line of a path, or of what is nearest above it", function()
        local tree = parse("a:\n  - b: 1\n    c:\n      - x\n      - y\nd: 2\n")
        assert.same({ 1, 2, 5, 6 }, {
            line_at(tree, ""), line_at(tree, "a[0].b"), line_at(tree, "a[0].c[1]"), line_at(tree, "d"),
        })
        assert.equals(2, line_at(tree, "a[0].missing"))
        assert.equals(2, line_at(tree, "a[7]"))
    end)
end)

describe("A plain scalar", function()
    local cases = {
        { "", "null" }, { "~", "null" }, { "null", "null" }, { "NULL", "null" },
        { "true", "boolean", true }, { "False", "boolean", false },
        { "yes", "string" }, { "no", "string" }, { "on", "string" }, { "off", "string" }, { "y", "string" },
        { "0", "number", 0 }, { "12", "number", 12 }, { "-3", "number", -3 }, { "+4", "number", 4 },
        { "0.5", "number", 0.5 }, { "1e3", "number", 1000 }, { "1.5E-3", "number", 0.0015 },
        { "012", "string" }, { "0o14", "string" }, { "0x1f", "string" }, { "0b1", "string" }, { "1_000", "string" },
        { "12:30", "string" }, { "1.2.3", "string" }, { "1-2", "string" }, { ".inf", "string" }, { ".nan", "string" },
        { "nan", "string" }, { "inf", "string" }, { "1e999", "string" }, { "1e", "string" }, { "-", "string" },
        { "2024-01-01", "string" }, { " 1", "string" }, { "1 ", "string" },
    }
    for _, case in ipairs(cases) do
        it(("%q is a %s"):format(case[1], case[2]), function()
            local kind, value = resolve(case[1])
            assert.equals(case[2], kind)
            if case[2] == "string" then
                assert.equals(case[1], value)
            else
                assert.equals(case[3], value)
            end
        end)
    end
end)
