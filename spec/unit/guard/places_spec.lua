-- Every place of every API's requests and answers, as the shapes have them: a listed word there is found, or docs/guard.md says that
-- the place is not read. So no place can be left out by accident, and the page can't be wrong.

local answer = require("sluice.wire.answer")
local answer_places = require("sluice.wire.answer_places")
local body = require("sluice.guard.body")
local cjson = require("cjson")
local guarding = require("spec.unit.guard.guarding")
local media = require("sluice.wire.media")
local known_values = require("sluice.wire.known_values")
local prompt = require("sluice.guard.prompt")
local request = require("sluice.wire.request")
local request_places = require("sluice.wire.request_places")

local WORD = "nightjar"
local GUARD = guarding.guard({ { name = "words", action = "mask", words = WORD } })
-- TextKind.FinishReason: compiled away.
local FINISH_REASON = 8

-- Calls `visit` with the path and place of each member and element below the root, each place's own below it once, the shortest path first.
-- A path is a list of member names, and 0 for an element.
local function visit_places(root, visit)
    local waiting, seen, at = { { root, {} } }, {}, 1
    while waiting[at] do
        local place, path = waiting[at][1], waiting[at][2]
        at = at + 1
        if not seen[place] then
            seen[place] = true
            local below = {}
            for name, member in pairs(place.members or {}) do
                below[#below + 1] = { name, member }
            end
            table.sort(below, function(a, b) return a[1] < b[1] end)
            below[#below + 1] = place.others and { "novel", place.others }
            below[#below + 1] = place.items and { 0, place.items }
            for _, step in ipairs(below) do
                local longer = { unpack(path) }
                longer[#longer + 1] = step[1]
                visit(longer, step[2])
                waiting[#waiting + 1] = { step[2], longer }
            end
        end
    end
end

local function told(path)
    return (table.concat(path, "."):gsub("%.0", "[]"))
end

-- A document with that JSON at the path, and a model unless it is there.
local function document(path, value, more)
    for step = #path, 1, -1 do
        local beside = step == 1 and path[1] ~= "model" and more or ""
        value = path[step] == 0 and "[" .. value .. "]" or ("{%s%s:%s}"):format(beside, cjson.encode(path[step]), value)
    end
    return value
end

local function range(source, from, to)
    return source:sub(from + 1, to)
end

local function found_in_request(api, content, guard)
    local reader = request.take(api, true)
    local function read()
        prompt.watch_prompt(reader.text, guard)
        for at = 1, #content, 7 do
            request.read(reader, content:sub(at, at + 6))
        end
    end
    read()
    if request.is_undecided(reader) then
        prompt.judge_prompt(reader.text, guard)
        request.begin_strictly(reader)
        read()
    end
    request.conclude(reader, range, content)
    local verdict = prompt.judge_prompt(reader.text, guard)
    request.release(reader)
    return verdict ~= nil
end

local function found_in_answer(api, content, guard)
    local guarded = body.guard_body(answer.take_answer(api, false), guard, -1)
    body.read_guarded_body(guarded, content)
    local out = body.end_guarded_body(guarded)
    return assert(out, content) ~= content
end

-- Members that are read unless the type of their part is one of media.
local function in_media(side, path, place)
    return side.name == "request" and place.media and path[#path] ~= 0 and path[#path] ~= "novel"
end

-- Members of a part whose own members say no type.
local WITHOUT_TYPE = { image_url = true, video_url = true, audio_url = true, document_url = true, input_audio = true, file = true }

-- A document with that value at the path, whose part says its type: before it, or behind.
local function typed_document(path, value, type_of, behind, more)
    local outer, name = { unpack(path, 1, #path - 1) }, path[#path]
    if WITHOUT_TYPE[outer[#outer]] then
        name, value = outer[#outer], ('{"%s":%s}'):format(name, value)
        outer[#outer] = nil
    end
    local of = ('"type":"%s"'):format(type_of)
    return document(outer, behind and ('{"%s":%s,%s}'):format(name, value, of) or ('{%s,"%s":%s}'):format(of, name, value), more)
end

local SIDES = {
    {
        name = "request", found = found_in_request, more = '"model":"m",',
        places = request_places.REQUEST_PLACES,
    },
    {
        name = "answer", found = found_in_answer, more = "",
        places = {
            chat = answer_places.CHOICES, completions = answer_places.CHOICES,
            responses = answer_places.responses(), messages = answer_places.messages(),
        },
    },
}

local function is_read(place)
    return place.text or (place.kind ~= nil and place.kind ~= FINISH_REASON)
end

-- The members in the first column of the nth table below the heading, and those of the list above it.
local function documented()
    local file = assert(io.open("docs/guard.md"))
    local page = file:read("*a")
    file:close()
    local section = assert(page:match("\n### What is not read\n(.-)\n### "))
    local tables = { {}, {} }
    local number = 0
    for line in section:gmatch("[^\n]+") do
        if line:match("^| members") then
            number = number + 1
        elseif number > 0 then
            for name in (line:match("^| ([^|]+) |") or ""):gmatch("`([^`]+)`") do
                tables[number][name] = true
            end
        end
    end
    local few = {}
    for name in assert(page:match("\n%- members that take one of a few values.-\n\n")):gmatch("`([%l_]+)`") do
        few[name] = true
    end
    return tables[1], tables[2], few
end

describe("the page about guards", function()
    local in_requests, in_answers, few = documented()

    for side, listed in ipairs({ in_requests, in_answers }) do
        it("lists exactly the members that are not read: of a " .. SIDES[side].name, function()
            local unread = {}
            for _, root in pairs(SIDES[side].places) do
                visit_places(root, function(path, place)
                    local name = path[#path]
                    if name ~= 0 and name ~= "novel" and (place.media or not is_read(place)) then
                        unread[name] = true
                    end
                end)
            end
            assert.same(listed, unread)
        end)
    end

    it("lists exactly the members of a request whose known values are not read", function()
        local with_known = {}
        for _, root in pairs(SIDES[1].places) do
            visit_places(root, function(path, place)
                if place.known and path[#path] ~= 0 then
                    with_known[path[#path]] = true
                end
            end)
        end
        -- The page has the values of one of them too.
        for _, role in ipairs(known_values.ROLES) do
            with_known[role] = true
        end
        assert.same(with_known, few)
    end)
end)

for _, side in ipairs(SIDES) do
    for api, root in pairs(side.places) do
        describe(("a word in a %s of %s"):format(side.name, api), function()
            visit_places(root, function(path, place)
                it((is_read(place) and "is found at " or "is not looked for at ") .. told(path), function()
                    local content = document(path, cjson.encode("a " .. WORD), side.more)
                    assert.equal(is_read(place) and true or false, side.found(api, content, GUARD), content)
                    if side.name == "request" then
                        for _, value in ipairs({ '["%s"]', '{"x":["%s"]}', '{"%s":1}', '[[{"a":{"b":"%s"}}]]' }) do
                            local deeper = document(path, value:format(WORD), side.more)
                            assert.is_true(side.found(api, deeper, GUARD), deeper)
                        end
                    end
                end)
                if in_media(side, path, place) then
                    it("is not found where the type is one of media, wherever that stands: " .. told(path), function()
                        for _, behind in ipairs({ false, true }) do
                            for _, type_of in ipairs(media.MEDIA_PART_TYPES) do
                                -- What may be a text is passed over by its looks alone until its type has come.
                                local long = (place.bytes and behind and ("QUJD"):rep(40) .. "+" or "a ") .. WORD
                                local content = typed_document(path, cjson.encode(long), type_of, behind, side.more)
                                assert.is_false(side.found(api, content, GUARD), content)
                            end
                            for _, type_of in ipairs({ "text", "input_text", "function", "novel" }) do
                                for _, value in ipairs({ "a " .. WORD, ("QUJD"):rep(40) .. "+" .. WORD }) do
                                    local content = typed_document(path, cjson.encode(value), type_of, behind, side.more)
                                    assert.is_true(side.found(api, content, GUARD), content)
                                end
                            end
                        end
                    end)
                end
                if place.known then
                    it("is not found where it is the API's own: " .. told(path), function()
                        local guard = guarding.guard({ { action = "mask", words = table.concat(place.known, "\n"), whole = "never" } })
                        for _, value in ipairs(place.known) do
                            local content = document(path, '"' .. value .. '"', side.more)
                            assert.is_false(side.found(api, content, guard), content)
                            for _, other in ipairs({ value .. " ", " " .. value, value .. value, value .. "\\u0021", "\\u002e" .. value }) do
                                local more = document(path, '"' .. other .. '"', side.more)
                                assert.is_true(side.found(api, more, guard), more)
                            end
                        end
                    end)
                end
            end)
        end)
    end
end
