/** A server of the Responses API that keeps what it has made, for whoever asks with its id: as an account does that several tenants share. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listen } from "./listen.ts";

interface Seen {
  method: string;
  url: string;
  authorization: string;
  body: string;
}

interface ResponsesUpstream {
  url: string;
  /** The requests that came, by order. */
  seen: Seen[];
  /** With which credential each response was asked for, by its id. */
  makers: Map<string, string>;
  /** What it says: the text of the answers from now on. */
  says: { text: string; conversation?: string; status: string; failing: number; piece?: number; hold?: boolean; linger?: number; error?: object };
  stop(): Promise<void>;
}

const USAGE = { input_tokens: 10, input_tokens_details: { cached_tokens: 0 }, output_tokens: 5, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 15 };

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

/** Starts one on a free port. `name` is part of every id that it makes. */
async function startResponsesUpstream(name: string): Promise<ResponsesUpstream> {
  const seen: Seen[] = [];
  const made = new Map<string, Record<string, unknown>>();
  const says: ResponsesUpstream["says"] = { text: "hello", status: "completed", failing: 0 };
  const makers = new Map<string, string>();
  let count = 0;

  function make(background: boolean, authorization: string): Record<string, unknown> {
    count += 1;
    const id = `resp_${name}${count}`;
    makers.set(id, authorization);
    const output = [{ id: `msg_${name}${count}`, type: "message", role: "assistant", status: "completed", content: [{ type: "output_text", text: says.text, annotations: [] }] }];
    const whole = {
      id, object: "response", created_at: 1, status: "completed", background, ...(says.conversation !== undefined && { conversation: { id: says.conversation } }), output,
      usage: USAGE,
    };
    made.set(id, whole);
    return whole;
  }

  function json(response: ServerResponse, status: number, document: unknown): void {
    const text = JSON.stringify(document);
    if (says.piece !== undefined) {
      response.writeHead(status, { "content-type": "application/json" });
      for (let from = 0; from < text.length; from += says.piece) response.write(text.slice(from, from + says.piece));
      response.end();
      return;
    }
    response.writeHead(status, { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) });
    response.end(text);
  }

  function stream(response: ServerResponse, whole: Record<string, unknown>): void {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const [item] = whole.output as { id: string }[];
    const begun = { ...whole, status: "in_progress", output: [], usage: null };
    const events: Record<string, unknown>[] = [
      { type: "response.created", response: begun },
      { type: "response.output_item.added", output_index: 0, item: { ...item, content: [] } },
      { type: "response.output_text.delta", item_id: item!.id, output_index: 0, content_index: 0, delta: says.text },
      { type: "response.output_item.done", output_index: 0, item },
      { type: "response.completed", response: whole },
    ];
    if (says.hold === true) events.pop();
    events.forEach((event, sequence) => response.write(`event: ${String(event.type)}\ndata: ${JSON.stringify({ ...event, sequence_number: sequence })}\n\n`));
    if (says.hold !== true) setTimeout(() => response.end(), says.linger ?? 0);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const url = request.url ?? "";
    seen.push({ method: request.method ?? "", url, authorization: request.headers.authorization ?? "", body });
    if (says.failing !== 0) {
      json(response, says.failing, { error: { message: "failing", type: "server_error", param: null, code: null } });
      return;
    }
    const [path = "", search = ""] = url.split("?");
    const [, id, rest] = /\/responses\/([^/]+)(.*)$/.exec(path) ?? [];
    if (id === undefined || id === "compact") {
      const asked = JSON.parse(body) as { stream?: boolean; background?: boolean };
      const whole = make(asked.background === true, request.headers.authorization ?? "");
      if (asked.stream === true) stream(response, whole);
      else if (asked.background === true) json(response, 200, { ...whole, status: "queued", output: [], usage: null });
      else json(response, 200, id === "compact" ? { ...whole, object: "response.compaction" } : whole);
      return;
    }
    const whole = made.get(id);
    if (whole === undefined) json(response, 404, { error: { message: "not found at the model server", type: "invalid_request_error", param: null, code: null } });
    else if (request.method === "DELETE") {
      made.delete(id);
      json(response, 200, { id, object: "response.deleted", deleted: true });
    } else if (rest === "/input_items") json(response, 200, { object: "list", data: [{ id: `in_${id}`, type: "message", role: "user", content: [{ type: "input_text", text: says.text }] }], has_more: false });
    else if (search.includes("stream=true")) stream(response, whole);
    else json(response, 200, says.status === "completed" ? whole : { ...whole, status: says.status, output: [], usage: null, ...(says.error !== undefined && { error: says.error }) });
  }

  const server = createServer((request, response) => void answer(request, response));
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    makers,
    says,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export { startResponsesUpstream };
export type { ResponsesUpstream };
