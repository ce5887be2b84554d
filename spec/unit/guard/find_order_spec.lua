local find_order = require("sluice.guard.find_order")

local function find(field, start, finish) return { field = field, start = start, ["end"] = finish } end

local function listed(finds)
    local list = {}
    for index, each in ipairs(finds) do
        list[index] = each.field .. ":" .. each.start .. "-" .. each["end"]
    end
    return list
end

describe("finds are put in order", function()
    it("by text, by where they begin, the longest first", function()
        assert.same({}, find_order.sort_finds({}))
        local finds = { find(1, 5, 7), find(0, 9, 12), find(0, 3, 4), find(0, 3, 8), find(1, 2, 3) }
        assert.same({ "0:3-8", "0:3-4", "0:9-12", "1:2-3", "1:5-7" }, listed(find_order.sort_finds(finds)))
    end)

    it("as any other way of sorting would, however they lie", function()
        math.randomseed(5)
        for count = 1, 300 do
            local finds, keys = {}, {}
            for index = 1, count do
                -- Nearly in order, as they come.
                local start = math.random(3) == 1 and math.random(count) or count % 2 == 0 and index or count - index
                finds[index] = find(math.random(2), start, start + math.random(9))
                keys[index] = ("%d:%05d-%02d"):format(finds[index].field, start, 99 - finds[index]["end"] + start)
            end
            table.sort(keys)
            for index, each in ipairs(find_order.sort_finds(finds)) do
                assert.equal(keys[index], ("%d:%05d-%02d"):format(each.field, each.start, 99 - each["end"] + each.start))
            end
        end
    end)
end)
