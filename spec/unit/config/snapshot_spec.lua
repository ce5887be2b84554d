local reading = require("spec.unit.config.reading")
local snapshot = require("sluice.config.snapshot")
local crypto = require("sluice.edge.crypto")
local identify = require("sluice.auth.identify").identify
local json = require("sluice.wire.json")
local shape = require("sluice.wire.shape")

local HASH = crypto.sha256_hex("sk-from-file")

--- What making a snapshot takes, with `files` in place of the real ones.
local function tools_for(files)
    local tools = reading.tools(files)
    local walk = json.walker(shape.compile({}), json.NO_SINK)
    tools.reader = {
        cryptography = crypto,
        strict_check = function(text) return json.check(walk, text) end,
        decode = require("cjson.safe").decode,
    }
    tools.slots = require("sluice.pool.slots").new_slots()
    tools.now = os.clock
    tools.lexicons = require("sluice.guard.store").memory_store()
    return tools
end

local function take(files)
    return snapshot.take(reading.FILE, tools_for(files))
end

local function with_key_file(lines)
    return {
        [reading.FILE] = reading.text({
            tenants = "tenants: [{id: acme, api_keys: [{id: web, secret: sk-test-web}], api_keys_file: acme.keys}]\n",
        }),
        ["/etc/sluice/acme.keys"] = lines,
    }
end

describe("A snapshot", function()
    it("knows the keys of the configuration and of the files that it names", function()
        local taken, problems = take(with_key_file("file-key " .. HASH .. "\n"))
        assert.same({}, problems)
        assert.equals("acme", identify(taken.directory, "sk-test-web", 0).tenant.id)
        assert.equals("file-key", identify(taken.directory, "sk-from-file", 0).key)
        assert.is_nil((identify(taken.directory, "sk-other", 0)))
        assert.is_nil(taken.trusted_proxies)
    end)

    it("has a version that follows the bytes of all files, and nothing else", function()
        local function version(changed)
            local files = with_key_file("file-key " .. HASH .. "\n")
            for path, text in pairs(changed or {}) do
                files[path] = text
            end
            return take(files).version
        end
        local first = version()
        assert.is_truthy(first:find("^%x+$"))
        assert.equals(12, #first)
        assert.equals(first, version())
        assert.not_equals(first, version({ ["/etc/sluice/acme.keys"] = "file-key " .. HASH .. "\n# one more line\n" }))
        assert.not_equals(first, version({ [reading.FILE] = with_key_file("")[reading.FILE] .. "# a comment\n" }))

        local moved = with_key_file("")[reading.FILE]
        local tools = tools_for({ ["/srv/other.yaml"] = moved, ["/srv/acme.keys"] = "file-key " .. HASH .. "\n" })
        assert.equals(first, snapshot.take("/srv/other.yaml", tools).version)
    end)

    it("has the origins that may read answers, and the largest body, if there are any", function()
        local without = take({ [reading.FILE] = reading.text({}) })
        assert.is_nil(without.cors)
        assert.is_nil(without.most_body_bytes)
        local taken = take({ [reading.FILE] = reading.text({ more = "cors: {origins: [\"http://LOCALHOST:80\"]}\nlimits: {body: 64k}\n" }) })
        assert.is_true(taken.cors.origins["http://localhost"])
        assert.equals(600, taken.cors.max_age)
        assert.equals(65536, taken.most_body_bytes)
    end)

    it("has the networks of trusted proxies", function()
        local taken = take({ [reading.FILE] = reading.text({ more = "trusted_proxies: [10.0.0.0/8]\n" }) })
        local contains = require("sluice.auth.address_list").contains_address
        assert.is_true(contains(taken.trusted_proxies, "10.1.2.3"))
        assert.is_false(contains(taken.trusted_proxies, "11.1.2.3"))
    end)

    it("isn't made when a file that is named is missing or wrong", function()
        local files = with_key_file("file-key nonsense\n")
        local taken, problems = take(files)
        assert.is_nil(taken)
        assert.equals("tenants[0].api_keys_file", problems[1].path)
        assert.equals(1, problems[1].line)
        assert.is_truthy(problems[1].message:find("/etc/sluice/acme.keys", 1, true))

        files["/etc/sluice/acme.keys"] = nil
        taken, problems = take(files)
        assert.is_nil(taken)
        assert.same({ "tenants[0].api_keys_file", "expected a file that can be read: No such file or directory" },
            { problems[1].path, problems[1].message })
    end)

    it("tells of files and of other sections in one go", function()
        local files = with_key_file("file-key nonsense\n")
        files[reading.FILE] = files[reading.FILE]:gsub("pool: gpu", "pool: gpv")
        local taken, problems = take(files)
        assert.is_nil(taken)
        assert.same({ "tenants[0].api_keys_file", "models[0].pool" }, { problems[1].path, problems[2].path })
        assert.equals(2, #problems)
    end)

    it("doesn't read the files of a section that is wrong itself", function()
        local files = with_key_file("file-key " .. HASH .. "\n")
        files[reading.FILE] = files[reading.FILE]:gsub("id: acme", "id: a b")
        local read_too = {}
        local tools = tools_for(files)
        local read_file = tools.read_file
        tools.read_file = function(path)
            read_too[#read_too + 1] = path
            return read_file(path)
        end
        local taken, problems = snapshot.take(reading.FILE, tools)
        assert.is_nil(taken)
        assert.equals(1, #problems)
        assert.same({ reading.FILE }, read_too)
    end)

    it("tells which files it is made of before it reads them", function()
        local order = {}
        local tools = tools_for(with_key_file("file-key nonsense\n"))
        local read_file = tools.read_file
        tools.read_file = function(path)
            order[#order + 1] = "read " .. path
            return read_file(path)
        end
        tools.found_files = function(paths) order[#order + 1] = "found " .. table.concat(paths, " ") end
        assert.is_nil((snapshot.take(reading.FILE, tools)))
        assert.same({
            "read " .. reading.FILE, "found " .. reading.FILE .. " /etc/sluice/acme.keys", "read /etc/sluice/acme.keys",
        }, order)
    end)
end)

local GUARDED = "guards: [{name: strict, lexicons: [{file: words.txt}]}]\n"

local function with_guard(words, changed)
    local sections = { tenants = "tenants: [{id: acme, api_keys: [{id: web, secret: sk-test-web}], guard: strict}, {id: free}]\n",
        more = GUARDED }
    for name, text in pairs(changed or {}) do
        sections[name] = text
    end
    return { [reading.FILE] = reading.text(sections), ["/etc/sluice/words.txt"] = words }
end

describe("A snapshot with guards", function()
    it("gives each tenant the guard that it names", function()
        local taken, problems = take(with_guard("badword\n"))
        assert.same({}, problems)
        assert.equals("strict", taken.guards.strict.name)
        assert.equals(1, taken.guards.strict.lexicon.words)
        assert.equals(taken.guards.strict, identify(taken.directory, "sk-test-web", 0).tenant.guard)
        assert.is_nil(taken.directory.tenants.free.guard)
        assert.equals(1, #taken.lexicon_keys)
        assert.same({ { path = "guards[0].lexicons[0].file", message = "words.txt: 1 word", serious = false } }, taken.notices)
    end)

    it("has another version when a list is another", function()
        local first = take(with_guard("badword\n")).version
        assert.equals(first, take(with_guard("badword\n")).version)
        assert.not_equals(first, take(with_guard("badword\n\n")).version)
    end)

    it("isn't made when a list is no good, and tells of other files and sections in the same go", function()
        local taken, problems = take(with_guard("\n"))
        assert.is_nil(taken)
        assert.same({ "guards[0].lexicons[0].file", "expected words, one a line, found none", 4 },
            { problems[1].path, problems[1].message, problems[1].line })

        local files = with_guard(nil, { models = "models: [{name: chat, pool: gpv}]\n",
            tenants = "tenants: [{id: acme, api_keys_file: missing}]\n" })
        taken, problems = take(files)
        assert.is_nil(taken)
        local paths = {}
        for index, problem in ipairs(problems) do
            paths[index] = problem.path
        end
        assert.same({ "tenants[0].api_keys_file", "models[0].pool", "guards[0].lexicons[0].file" }, paths)
    end)

    it("tells of bad lists when another section is wrong, but compiles none", function()
        local files = with_guard("badword\n", { tenants = "tenants: [{id: a b}]\n" })
        local tools = tools_for(files)
        local followed
        tools.found_files = function(paths) followed = paths end
        tools.lexicons.keep = function() error("compiled") end
        local taken, problems = snapshot.take(reading.FILE, tools)
        assert.is_nil(taken)
        assert.equals(1, #problems)
        assert.same({ reading.FILE, "/etc/sluice/words.txt" }, followed)

        files["/etc/sluice/words.txt"] = "\xff\xfeb\0a\0d\0"
        taken, problems = snapshot.take(reading.FILE, tools)
        assert.is_nil(taken)
        assert.same({ "tenants[0].id", "guards[0].lexicons[0].file" }, { problems[1].path, problems[2].path })
    end)

    it("doesn't read the lists of a section that is wrong itself", function()
        local files = with_guard(nil, { more = "guards: [{name: strict, lexicons: [{file: words.txt, action: no}]}]\n" })
        local taken, problems = take(files)
        assert.is_nil(taken)
        assert.equals(1, #problems)
        assert.equals("guards[0].lexicons[0].action", problems[1].path)
    end)
end)
