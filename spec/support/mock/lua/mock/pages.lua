--- `/health` and `/metrics`: pages whose answers a test sets.
--
-- Each has a status, a wait, a body and a number of bytes to follow it; what it was asked with last and how often is kept.

local cjson = require "cjson"

local pages = {}

local entries = ngx.shared.mock_requests
local counters = ngx.shared.mock_counters

local USUAL = { status = 200, delay = 0, body = "ok\n", huge = 0 }

local function wanted(path)
  local text = entries:get("page:" .. path)
  return text and cjson.decode(text) or USUAL
end

--- Answers as the test has set it.
function pages.serve()
  local path = ngx.var.uri
  local page = wanted(path)
  counters:incr("page:" .. path, 1, 0)
  entries:set("page_headers:" .. path, cjson.encode(ngx.req.get_headers()))
  if page.delay > 0 then ngx.sleep(page.delay / 1000) end
  ngx.status = page.status
  ngx.header["Content-Type"] = "text/plain"
  ngx.print(page.body)
  for _ = 1, page.huge, 65536 do
    ngx.print(("x 1\n"):rep(16384))
    ngx.flush(true)
  end
end

--- Sets a page: `path` in the query, an object in the body with what shall be other than usual. Nothing in it: as usual.
function pages.set(path, text)
  local page = {}
  local given = text ~= nil and text ~= "" and cjson.decode(text) or {}
  for name, usual in pairs(USUAL) do
    page[name] = given[name] == nil and usual or given[name]
  end
  entries:set("page:" .. path, cjson.encode(page))
end

--- How often a page was asked for, and the headers that came last.
function pages.asked(path)
  local headers = entries:get("page_headers:" .. path)
  return { asked = counters:get("page:" .. path) or 0, headers = headers and cjson.decode(headers) or cjson.null }
end

return pages
