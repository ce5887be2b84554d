-- A dictionary as nginx's workers share it, in memory: with room for so many entries, and nothing that ends by itself.

local dictionary_model = {}

--- An empty dictionary. `entries`: what it holds; for being looked at, and where it is given, what it shall hold.
function dictionary_model.new(room, entries)
    entries = entries or {}
    local count = 0
    local function put(key, value)
        if entries[key] == nil then
            if count == room then return "no memory" end
            count = count + 1
        end
        entries[key] = value
    end
    return {
        entries = entries,
        get = function(key) return entries[key] end,
        add = function(key, value)
            if entries[key] ~= nil then return "exists" end
            return put(key, value)
        end,
        set = put,
        increase = function(key, by)
            if entries[key] == nil then return nil end
            entries[key] = entries[key] + by
            return entries[key]
        end,
        remove = function(key)
            if entries[key] ~= nil then entries[key], count = nil, count - 1 end
        end,
    }
end

return dictionary_model
