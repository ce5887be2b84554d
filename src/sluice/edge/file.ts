import { is_folder, is_regular, new_status, path_status } from "./file_status";

/**
 * Reading whole files, and telling when one has changed.
 *
 * Only regular files are read: a pipe would stop the worker until someone writes to it.
 */

/** Larger files are refused, in bytes. */
const MOST_BYTES = 67108864;

const status = new_status();

/** A text that changes whenever the file does: modified, changed, size and inode. `undefined` if there is no such file. */
function stamp(path: string): string | undefined {
  if (!path_status(path, status)) {
    return undefined;
  }
  return string.format(
    "%.0f.%09d:%.0f.%09d:%.0f:%.0f",
    tonumber(status.modified_seconds),
    status.modified_nanoseconds,
    tonumber(status.changed_seconds),
    status.changed_nanoseconds,
    tonumber(status.size),
    tonumber(status.inode),
  );
}

/**
 * The whole of a regular file of at most 64 MiB, or `undefined` and a reason to show, without the path. It
 * blocks while the disk is read.
 */
function read_file(path: string): LuaMultiReturn<[text: string | undefined, reason: string | undefined]> {
  if (path_status(path, status)) {
    if (!is_regular(status)) {
      return $multi(undefined, is_folder(status) ? "it is a folder" : "it is not a regular file");
    }
    if ((tonumber(status.size) ?? 0) > MOST_BYTES) {
      return $multi(undefined, `it is larger than ${MOST_BYTES / 1048576} MiB`);
    }
  }
  const [file, reason] = io.open(path, "rb");
  if (file === undefined) {
    const [without_path] = string.match(reason ?? "", ": ([^:]*)$");
    return $multi(undefined, without_path ?? "");
  }
  const text = file.read(MOST_BYTES + 1);
  file.close();
  if (text !== undefined && text.length > MOST_BYTES) {
    return $multi(undefined, `it is larger than ${MOST_BYTES / 1048576} MiB`);
  }
  return $multi(text ?? "", undefined);
}

export { read_file, stamp };
