-- A dictionary as nginx's workers share it, whose entries end when their seconds are over, by a clock that the spec sets; and that
-- counts how often it was asked.

local dictionary_model = require("spec.unit.limit.dictionary_model")

local lasting_dictionary = {}

--- An empty one with room for so many entries. `now`: its clock, in seconds. `before`: called before each call, with its name and key.
function lasting_dictionary.new(room)
    local inner, ends = dictionary_model.new(room), {}
    local dictionary = { entries = inner.entries, now = 0, calls = 0, before = nil }
    local function look(name, key)
        dictionary.calls = dictionary.calls + 1
        if dictionary.before then dictionary.before(name, key) end
        if ends[key] and dictionary.now >= ends[key] then
            inner.remove(key)
            ends[key] = nil
        end
    end
    local function put(how, key, value, seconds)
        local reason = how(key, value)
        if reason == nil then ends[key] = seconds and dictionary.now + seconds end
        return reason
    end
    function dictionary.get(key)
        look("get", key)
        return inner.get(key)
    end
    function dictionary.add(key, value, seconds)
        look("add", key)
        return put(inner.add, key, value, seconds)
    end
    function dictionary.set(key, value, seconds)
        look("set", key)
        return put(inner.set, key, value, seconds)
    end
    function dictionary.increase(key, by)
        look("increase", key)
        return inner.increase(key, by)
    end
    function dictionary.remove(key)
        look("remove", key)
        inner.remove(key)
        ends[key] = nil
    end
    return dictionary
end

return lasting_dictionary
