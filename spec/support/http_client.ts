/** A client that hides nothing: raw headers, raw bytes, and whether the answer was whole. */

import { type Agent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { CLIENT_KEY } from "./configuration.ts";
import { HANG_MS } from "./processes.ts";

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  /** Whether the answer ended as HTTP says it should. */
  complete: boolean;
}

interface Options {
  method?: string;
  path?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
  /** The API key; `null`: none. */
  key?: string | null;
  /** Send the body in pieces of this size, this many milliseconds apart, in chunked coding. */
  chunked?: { size: number; interval?: number };
  /** Called with each piece of the answer's body. */
  onData?: (data: Buffer) => void;
  signal?: AbortSignal;
  /** Whose connections are used; a connection of its own without one. */
  agent?: Agent;
}

/** Sends a request to `http://127.0.0.1:port`. */
function send(port: number, options: Options = {}): Promise<Answer> {
  const body = Buffer.from(options.body ?? "");
  const headers: Record<string, string | string[]> = { "content-type": "application/json", ...options.headers };
  const key = options.key === undefined ? CLIENT_KEY : options.key;
  if (key !== null && headers.authorization === undefined) headers.authorization = `Bearer ${key}`;
  const method = options.method ?? "POST";
  if (!options.chunked && method !== "GET") headers["content-length"] = String(body.length);
  return new Promise((resolve, reject) => {
    let answered = false;
    const request = httpRequest(
      {
        host: "127.0.0.1",
        port,
        method,
        path: options.path ?? "/v1/chat/completions",
        headers,
        agent: options.agent ?? false,
        // More than Node's own bound: headers of an upstream may be long.
        maxHeaderSize: 65536,
        signal: options.signal,
      },
      (response) => {
        answered = true;
        const parts: Buffer[] = [];
        response.on("data", (data: Buffer) => {
          parts.push(data);
          options.onData?.(data);
        });
        const done = (): void => {
          const whole = Buffer.concat(parts);
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            text: whole.toString(),
            complete: response.complete,
          });
        };
        response.on("end", done);
        response.on("error", done);
      },
    );
    // An error after the header shows in the answer, as one that isn't complete.
    request.on("error", (error) => {
      if (!answered) reject(error);
    });
    if (!options.chunked) {
      request.end(body);
      return;
    }
    const { size, interval } = options.chunked;
    void (async () => {
      for (let from = 0; from < body.length && !request.destroyed; from += size) {
        if (!request.write(body.subarray(from, from + size))) {
          await Promise.race([new Promise((drained) => request.once("drain", drained)), sleep(1000)]);
        }
        if (interval !== undefined) await sleep(interval);
      }
      request.end();
    })();
  });
}

/** Sends an object as JSON. */
function post(port: number, path: string, document: object, options: Options = {}): Promise<Answer> {
  return send(port, { ...options, path, body: JSON.stringify(document) });
}

/** The `error` member of a refusal. */
function errorOf(answer: Answer): { message: string; type: string; param: string | null; code: string | null } {
  const document = JSON.parse(answer.text) as { error: ReturnType<typeof errorOf> };
  return document.error;
}

/** Writes bytes as they are to a new connection and reads until it closes, or until `milliseconds` passed. */
function sendBytes(port: number, bytes: string | Buffer, milliseconds = HANG_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    const timer = setTimeout(() => socket.destroy(), milliseconds);
    socket.on("data", (data: Buffer) => (received += data.toString("latin1")));
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(received);
    });
    socket.write(bytes);
  });
}

/** Sends a request, and closes the connection in the same moment. */
function sendAndLeave(port: number, path: string, document: object, key: string = CLIENT_KEY): Promise<void> {
  const body = JSON.stringify(document);
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.end(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        () => socket.destroy(),
      );
    });
    socket.on("error", reject);
    socket.on("close", () => {
      resolve();
    });
  });
}

export { errorOf, post, send, sendAndLeave, sendBytes };
export type { Answer };
