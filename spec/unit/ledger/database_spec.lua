local connection_module = require("sluice.ledger.connection")
local database = require("sluice.ledger.database")

local NOW = "2026-11-21T10:00:00.000Z"
local ROW = '["%s","2026-11-21T10:00:00.000Z","t",null,null,null,null,1,200,"finished",1,0,2,null,null,5,0,0,0,0,null,null,null,null]'

local function position(offset) return { fingerprint = "5:abc", inode = "18446744073709551615", offset = offset, current = true } end

describe("ledger database", function()
    local path, dialect, dbi

    before_each(function()
        dbi = require("DBI")
        path = os.tmpname()
        dialect = database.parse_database("sqlite:" .. path)
    end)
    after_each(function() os.remove(path) end)

    local function open(to_write) return database.open_ledger(dbi, dialect, path, to_write ~= false) end
    local function requests(connection)
        return connection_module.query(connection, "SELECT CAST(COUNT(*) AS TEXT) FROM usage_requests", {})[1][1]
    end

    it("takes files and PostgreSQL's URLs", function()
        local sqlite, file = database.parse_database("sqlite:/a/b.db")
        assert.same({ "SQLite3", "/a/b.db" }, { sqlite.driver, file })
        -- Neither a database in memory nor a URI, but files of these names.
        assert.equal("./:memory:", select(2, database.parse_database("sqlite::memory:")))
        assert.equal("./file:x?mode=ro", select(2, database.parse_database("sqlite:file:x?mode=ro")))
        for _, url in ipairs({ "postgresql://u@h:1/n", "postgres:///n?host=/run" }) do
            local found, name = database.parse_database(url)
            assert.same({ "PostgreSQL", url }, { found.driver, name })
        end
        for _, url in ipairs({ "", "sqlite:", "/a/b.db", "mysql://h/n", "postgresql://", "postgresql:n", " sqlite:x" }) do
            assert.is_nil((database.parse_database(url)), url)
        end
    end)

    it("keeps rows and positions together, with every bit of an inode", function()
        local connection = open()
        local state = database.read_source(connection, "s", "/journal")
        assert.same({ version = 0, positions = {} }, state)
        local rows = { ROW:format("a"), ROW:format("b"), ROW:format("a") }
        local saved = database.save_batch(connection, "s", state, rows, { position(4503599627370497) }, NOW)
        assert.same({ added = 2, overtaken = false }, saved)
        assert.same({ version = 1, positions = { position(4503599627370497) } }, database.read_source(connection, "s", "/journal"))
        assert.same({ version = 0, positions = {} }, database.read_source(connection, "other", "/journal"))
        saved = database.save_batch(connection, "s", state, { ROW:format("b") }, {}, NOW)
        assert.same({ added = 0, overtaken = false }, saved)
        assert.same({ version = 2, positions = {} }, database.read_source(connection, "s", "/journal"))
        database.disconnect(connection)
    end)

    it("writes nothing for a program that another has overtaken", function()
        local connection, other = open(), open()
        local state = database.read_source(connection, "s", "/journal")
        local others = database.read_source(other, "s", "/journal")
        assert.is_false(database.save_batch(other, "s", others, { ROW:format("a") }, { position(7) }, NOW).overtaken)
        assert.is_true(database.save_batch(connection, "s", state, { ROW:format("b") }, { position(5) }, NOW).overtaken)
        assert.equal("1", requests(connection))
        state = database.read_source(connection, "s", "/journal")
        assert.same({ version = 1, positions = { position(7) } }, state)
        assert.is_false(database.save_batch(connection, "s", state, { ROW:format("b") }, { position(9) }, NOW).overtaken)
        assert.equal("2", requests(other))
        database.disconnect(connection)
        database.disconnect(other)
    end)

    it("undoes all of a batch if a part of it fails, and can go on", function()
        local connection = open()
        local state = database.read_source(connection, "s", "/journal")
        local saved, reason = database.save_batch(connection, "s", state, { ROW:format("a"), "[" }, { position(7) }, NOW)
        assert.is_nil(saved)
        assert.is_truthy(reason:find("malformed JSON", 1, true), reason)
        saved, reason = database.save_batch(connection, "s", state, { ROW:format("a") }, { position(7), position(8) }, NOW)
        assert.is_nil(saved)
        assert.is_truthy(reason:find("UNIQUE", 1, true), reason)
        assert.same({ version = 0, positions = {} }, database.read_source(connection, "s", "/journal"))
        assert.equal("0", requests(connection))
        assert.equal(1, database.save_batch(connection, "s", state, { ROW:format("a") }, { position(7) }, NOW).added)
        database.disconnect(connection)
    end)

    it("makes the tables to write, and only then", function()
        local connection, reason, hopeless = open(false)
        assert.same({ "the ledger's tables are not there, or old: sluice usage load makes them", false }, { reason, hopeless })
        assert.is_nil(connection)
        database.disconnect(open())
        connection = open(false)
        assert.equal("0", requests(connection))
        connection_module.execute(connection, "INSERT INTO usage_schema (version) VALUES (5)", {})
        database.disconnect(connection)
        connection, reason, hopeless = open()
        assert.is_nil(connection)
        assert.is_true(hopeless)
        assert.equal("the database has version 5 of the ledger, this program knows 4 and older: use a newer sluice", reason)
    end)

    it("brings the tables up to date in order, each version whole or not at all", function()
        database.disconnect(open())
        local newer = {}
        for name, value in pairs(dialect) do newer[name] = value end
        newer.migrations = {
            dialect.migrations[1], dialect.migrations[2], dialect.migrations[3], dialect.migrations[4], { "CREATE TABLE second (x)" },
            { "CREATE TABLE third (x)", "INSERT INTO second VALUES (1)", "wrong" },
        }
        local _, reason = database.open_ledger(dbi, newer, path, true)
        assert.is_truthy(reason:find('^the ledger\'s tables could not be made: .*"wrong": syntax error'), reason)
        newer.migrations[6][3] = "INSERT INTO second VALUES (2)"
        local connection = database.open_ledger(dbi, newer, path, true)
        assert.same({ { "1" }, { "2" } }, (connection_module.query(connection, "SELECT CAST(x AS TEXT) FROM second ORDER BY x", {})))
        assert.same({ { "6" } }, (connection_module.query(connection, "SELECT CAST(COUNT(*) AS TEXT) FROM usage_schema", {})))
        database.disconnect(connection)
    end)

    it("keeps what an older program has loaded", function()
        local older = {}
        for name, value in pairs(dialect) do older[name] = value end
        older.migrations = { dialect.migrations[1] }
        local connection = database.open_ledger(dbi, older, path, true)
        connection_module.execute(connection, "INSERT INTO usage_requests (id, source, time, tenant, ending, input_tokens, "
            .. "cached_input_tokens, output_tokens, cost_nano_usd) VALUES ('old', 's', '2026', 't', 'finished', 1, 2, 3, 4)", {})
        database.disconnect(connection)
        connection = open()
        assert.same({ { "old", "4", "0", "0", "0" } }, (connection_module.query(connection,
            "SELECT id, CAST(cost_nano_usd AS TEXT), CAST(free_units AS TEXT), CAST(cache_write_tokens AS TEXT), CAST(reasoning_tokens AS TEXT) "
                .. "FROM usage_requests", {})))
        database.disconnect(connection)
    end)

    it("returns what a driver throws", function()
        local fake = { Connect = function() error("Failed for postgresql://u:secret%1@h/n  \n  at all", 0) end }
        local postgresql, name = database.parse_database("postgresql://u:secret%1@h/n")
        local _, reason = database.open_ledger(fake, postgresql, name, true)
        assert.equal("no connection to the database: Failed for URL at all (psql says more, with the same URL)", reason)
    end)

    it("asks a lost connection for no statement, because that ends the process in PostgreSQL's driver", function()
        local asked = 0
        local handle = {
            autocommit = function() return true end, ping = function() return false end, close = function() return true end,
            prepare = function() asked = asked + 1 end,
        }
        local connection, reason = connection_module.connect({ Connect = function() return handle end }, dialect, "x")
        assert.same({ nil, "the connection is lost", 0 }, { connection, reason, asked })
    end)

    it("takes no commit for done that has failed", function()
        local log = {}
        local handle = { autocommit = function() return true end, ping = function() return true end, close = function() return true end }
        function handle.prepare(_, sql)
            return {
                execute = function()
                    log[#log + 1] = sql
                    if sql == "COMMIT" then error("the server went away") end
                    return true
                end,
                affected = function() return 0 end,
                close = function() return true end,
            }
        end
        local connection = connection_module.connect({ Connect = function() return handle end }, dialect, "x")
        log = {}
        local reason = connection_module.transaction(connection, function() end)
        assert.is_truthy(reason:find("the server went away", 1, true))
        assert.equal("refused", connection_module.transaction(connection, function() return "refused" end))
        assert.same({ "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "BEGIN IMMEDIATE", "ROLLBACK" }, log)
    end)
end)
