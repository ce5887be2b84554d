-- The aggregate's store in a plain table, with a clock and a limit of entries, for what a real dictionary
-- makes hard to arrange. The real one is used in workers_spec.lua.

local function new(most)
    local store = { now = 1000, most = most or math.huge, entries = {}, count = 0, calls = 0 }

    local function find(key)
        store.calls = store.calls + 1
        local entry = store.entries[key]
        if entry and entry.expires and entry.expires <= store.now then
            store.entries[key] = nil
            store.count = store.count - 1
            return nil
        end
        return entry
    end

    local function write(key, value, seconds)
        if not store.entries[key] then
            if store.count >= store.most then return "no memory" end
            store.count = store.count + 1
        end
        store.entries[key] = { value = value, expires = seconds and seconds > 0 and store.now + seconds or nil }
    end

    function store.get(key)
        local entry = find(key)
        return entry and entry.value
    end

    function store.add(key, value, seconds)
        if find(key) then return "exists" end
        return write(key, value, seconds)
    end

    function store.set(key, value, seconds)
        find(key)
        return write(key, value, seconds)
    end

    function store.increase(key, by)
        local entry = find(key)
        if not entry then return nil end
        entry.value = entry.value + by
        return entry.value
    end

    function store.remove(key)
        if find(key) then
            store.entries[key] = nil
            store.count = store.count - 1
        end
    end

    return store
end

return { new = new }
