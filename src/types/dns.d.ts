/** @noSelfInFile */

declare interface DnsAnswer {
  type: number;
  ttl?: number;
  address?: string;
  cname?: string;
}

declare interface DnsResolver {
  query(
    this: DnsResolver,
    name: string,
    options: { qtype: number },
  ): LuaMultiReturn<[answers: (DnsAnswer[] & { errcode?: number; errstr?: string }) | undefined, reason: string | undefined]>;
}

declare interface DnsLibrary {
  TYPE_A: number;
  TYPE_AAAA: number;
  new: (this: DnsLibrary, options: { nameservers: string[]; retrans: number; timeout: number }) => LuaMultiReturn<[resolver: DnsResolver | undefined, reason: string | undefined]>;
}
