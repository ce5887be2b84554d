-- Pools as the pickers see them, made from plain tables, and what a pick may come to.

local ffi = require("ffi")

local fields = {}

local function integers(list)
    return ffi.new("int32_t[?]", math.max(1, #list), list)
end
fields.integers = integers

-- A field of endpoints, given by a list of tables: weight (1), usable (true), most (0), running (0), waiting, cache (-1 each) and
-- tried, the stamp. Keeps the list and the counts of calls as `endpoints`, `asked` (by index) and `questions`.
function fields.field(endpoints)
    local lists = { weights = {}, usable = {}, most = {}, tried = {} }
    for index, each in ipairs(endpoints) do
        lists.weights[index] = each.weight or 1
        lists.usable[index] = each.usable == false and 0 or 1
        lists.most[index] = each.most or 0
        lists.tried[index] = each.tried or 0
    end
    local field = { count = #endpoints, endpoints = endpoints, asked = {}, questions = 0 }
    for name, list in pairs(lists) do field[name] = integers(list) end
    function field.in_flight(index)
        field.questions = field.questions + 1
        field.asked[index] = (field.asked[index] or 0) + 1
        return endpoints[index + 1].running or 0
    end
    function field.waiting(index) return endpoints[index + 1].waiting or -1 end
    function field.cache(index) return endpoints[index + 1].cache or -1 end
    return field
end

function fields.forget_questions(field)
    field.asked, field.questions = {}, 0
end

function fields.is_open(field, index)
    local each = field.endpoints[index + 1]
    return each.usable ~= false and ((each.most or 0) == 0 or (each.running or 0) < each.most)
end

-- What is left for a request: "untried" endpoints, else "tried" ones, else "none".
function fields.left(field, stamp)
    local left = "none"
    for index = 0, field.count - 1 do
        if fields.is_open(field, index) then
            if field.tried[index] ~= stamp then return "untried" end
            left = "tried"
        end
    end
    return left
end

-- Of which kind an endpoint is, in the words of `left`.
function fields.kind(field, index, stamp)
    if index == -1 then return "none" end
    if index < 0 or index >= field.count or index % 1 ~= 0 then return "no endpoint" end
    if not fields.is_open(field, index) then return "closed" end
    return field.tried[index] == stamp and "tried" or "untried"
end

-- Random endpoints: of some fields nearly all can be used, of others nearly none. Stamps are 1 to 3.
function fields.random(most_endpoints)
    local usable, full, tried = math.random(), math.random(), math.random()
    local heaviest = ({ 1, 3, 50, 1000 })[math.random(4)]
    local endpoints = {}
    for index = 1, math.random(most_endpoints) do
        local most = math.random() < 0.6 and math.random(5) or 0
        endpoints[index] = {
            weight = math.random(heaviest),
            usable = math.random() < usable ^ 2,
            most = most,
            running = math.random() < full and most + math.random(0, 1) or math.random(0, math.max(0, most - 1)),
            tried = math.random() < tried and math.random(3) or 0,
            waiting = math.random() < 0.5 and math.random(0, 3) or -1,
            cache = math.random() < 0.5 and math.random() or -1,
        }
    end
    return fields.field(endpoints)
end

return fields
