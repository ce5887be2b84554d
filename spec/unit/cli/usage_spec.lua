local command = require("spec.unit.cli.command")

local LINE = '{"id":"%s","time":"2026-11-21T10:00:00.123Z","tenant":"acme","key":"web","model":"chat","ending":"finished",'
    .. '"input_tokens":10,"output_tokens":5,"cost_nano_usd":9007199254740993}\n'

describe("sluice usage", function()
    local folder

    before_each(function()
        folder = command.folder()
        command.write(folder .. "/usage.jsonl", LINE:format("a") .. LINE:format("b"))
    end)
    after_each(function() command.remove(folder) end)

    local function run(arguments, variables) return command.run(folder, "usage " .. arguments, variables) end

    it("loads and reports", function()
        local status, output, errors = run("load --journal usage.jsonl --database sqlite:usage.db")
        local real = command.output_of("realpath " .. folder):gsub("\n", "")
        assert.same({ 0, real .. "/usage.jsonl: 2 requests loaded\n", "" }, { status, output, errors })
        status, output, errors = run("report --database sqlite:usage.db --format csv")
        assert.same({ 0, "" }, { status, errors })
        assert.equal("tenant,model,requests,input_tokens,cached_input_tokens,output_tokens,free_units,"
            .. "cache_write_tokens,cache_write_1h_tokens,cost_usd\r\n"
            .. "acme,chat,2,20,0,10,0,0,0,18014398.509481986\r\n", output)
        status, output = run("report --database sqlite:usage.db --by source --format csv")
        assert.equal(0, status)
        local host = command.output_of("uname -n"):gsub("\n", "")
        assert.is_truthy(output:find("\n" .. host .. ":" .. real .. "/usage.jsonl,2,", 1, true), output)
    end)

    it("knows the journal by its real folder", function()
        os.execute(("mkdir %s/logs && ln -s logs %s/link && mv %s/usage.jsonl %s/logs"):format(folder, folder, folder, folder))
        assert.equal(0, (run("load --journal link/usage.jsonl --database sqlite:usage.db")))
        local _, output = run("load --journal logs/../link/usage.jsonl --database sqlite:usage.db")
        assert.is_truthy(output:find(": 0 requests loaded\n", 1, true), output)
    end)

    it("names the package of a driver that is not there", function()
        os.execute("mkdir -p " .. folder .. "/fake/dbd")
        for name, package_name in pairs({ sqlite3 = "lua-dbi-sqlite3", postgresql = "lua-dbi-postgresql" }) do
            command.write(folder .. "/fake/dbd/" .. name .. ".lua", "error('not here')")
            local url = name == "sqlite3" and "sqlite:usage.db" or "postgresql://u@127.0.0.1/n"
            for _, action in ipairs({ "load --journal usage.jsonl", "report" }) do
                local status, output, errors = run(action .. " --database " .. url, ("LUA_PATH='%s/fake/?.lua'"):format(folder))
                assert.same({ 1, "" }, { status, output })
                assert.is_truthy(errors:find(" is not installed; Debian has it in " .. package_name .. "\n", 1, true), errors)
            end
        end
    end)

    local wrong = {
        ["report --database sqlite:x --by tenant,cost"] = '--by: "cost" is unknown or given twice; known are tenant, key, ',
        ["report --database sqlite:x --by ''"] = '--by: "" is unknown',
        ["report --database sqlite:x --from yesterday"] = "--from yesterday: is no time in UTC",
        ["report --database sqlite:x --to 2026-02-29"] = "--to 2026-02-29: is no time in UTC",
        ["report --database sqlite:x --format xml"] = "--format",
        ["report --database usage.db"] = "--database: a database is sqlite:PATH or postgresql://USER@HOST:PORT/NAME",
        ["report"] = "missing option '--database'",
        ["load --database sqlite:x"] = "missing option '--journal'",
        ["load --journal usage.jsonl"] = "missing option '--database'",
        ["load --journal none/usage.jsonl --database sqlite:x"] = "--journal none/usage.jsonl: there is no such folder",
        ["load --journal logs/ --database sqlite:x"] = "--journal logs/: there is no such folder",
        ["load --journal usage.jsonl --database sqlite:x --folow"] = "unknown option '--folow'",
        [""] = "a command is required",
    }
    for arguments, message in pairs(wrong) do
        it("says what is wrong with: " .. arguments, function()
            local status, output, errors = run(arguments)
            assert.same({ 2, "" }, { status, output })
            assert.is_truthy(errors:find("sluice: " .. message, 1, true) or errors:find(message, 1, true), errors)
            assert.is_nil(io.open(folder .. "/x"))
        end)
    end

    it("says when there is no journal, and no database to report on", function()
        local status, _, errors = run("load --journal none.jsonl --database sqlite:usage.db")
        assert.equal(1, status)
        assert.is_truthy(errors:find("/none.jsonl: there is no such file\n", 1, true), errors)
        status, _, errors = run("report --database sqlite:none.db")
        assert.same({ 1, "sluice: ./none.db: there is no such database\n" }, { status, errors })
    end)

    it("reports the first hundred broken lines and counts the others", function()
        command.write(folder .. "/usage.jsonl", ("{\n"):rep(150) .. LINE:format("a"))
        local status, output, errors = run("load --journal usage.jsonl --database sqlite:usage.db")
        assert.equal(0, status)
        assert.is_truthy(output:find(": 1 requests loaded, 150 broken lines\n", 1, true), output)
        assert.equal(100, select(2, errors:gsub("\n", "")))
    end)
end)
