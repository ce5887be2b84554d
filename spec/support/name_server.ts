/** A name server (RFC 1035) that has the same answer for every name, or is silent. */

import { createSocket } from "node:dgram";

interface NameServer {
  port: number;
  /** Says nothing to anybody. */
  silent: boolean;
  /** IPv4 addresses of every name; none: there is no such name. For so many seconds. */
  addresses: string[];
  seconds: number;
  /** How many questions have come. */
  questions(): number;
  stop(): Promise<void>;
}

const TYPE_A = 1;
const NO_SUCH_NAME = 3;

/** An answer to the question: the addresses; to any but one for IPv4 addresses, that there are none. */
function answerTo(question: Buffer, { addresses, seconds }: NameServer): Buffer {
  const end = question.indexOf(0, 12) + 5;
  const asked = question.subarray(12, end);
  const found = asked.readUInt16BE(asked.length - 4) === TYPE_A ? addresses : [];
  const head = Buffer.from(question.subarray(0, 12));
  head.writeUInt16BE(0x8180 + (addresses.length === 0 ? NO_SUCH_NAME : 0), 2);
  head.writeUInt16BE(found.length, 6);
  head.writeUInt32BE(0, 8);
  const records = found.map((address) => {
    const record = Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split(".").map(Number)]);
    record.writeUInt32BE(seconds, 6);
    return record;
  });
  return Buffer.concat([head, asked, ...records]);
}

async function startNameServer(): Promise<NameServer> {
  const socket = createSocket("udp4");
  let questions = 0;
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const server: NameServer = {
    port: socket.address().port,
    silent: true,
    addresses: ["127.0.0.1"],
    seconds: 1,
    questions: () => questions,
    async stop() {
      await new Promise<void>((resolve) => {
        socket.close(() => {
          resolve();
        });
      });
    },
  };
  socket.on("message", (question, from) => {
    questions += 1;
    if (!server.silent) socket.send(answerTo(question, server), from.port, from.address);
  });
  return server;
}

export { startNameServer };
export type { NameServer };
