// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.types.Errno;

/**
 * One thing that an admin does on the machine.
 *
 * @param path the file
 * @param value what is written; null to read
 */
record Action(String path, @Nullable String value) {
  private static final String WANTED = ": wanted 'echo VALUE > PATH' or 'cat PATH'";

  /** Reads the text of {@code --do}. @throws BadInput for anything but a write or a read */
  static Action parse(String text) {
    String command = text.strip();
    int arrow = command.indexOf('>');
    if (command.startsWith("echo ") && arrow > 0) {
      String value = unquote(command.substring("echo ".length(), arrow).strip());
      return new Action(path(text, command.substring(arrow + 1)), value);
    }
    if (command.startsWith("cat ")) {
      return new Action(path(text, command.substring("cat ".length())), null);
    }
    throw new BadInput("--do \"" + text + "\"" + WANTED);
  }

  private static String path(String text, String rest) {
    String path = unquote(rest.strip());
    if (!path.startsWith("/") || path.indexOf(' ') >= 0) {
      throw new BadInput("--do \"" + text + "\"" + WANTED + " with a path from /");
    }
    return path;
  }

  private static String unquote(String text) {
    boolean quoted =
        text.length() > 1
            && (text.charAt(0) == '"' || text.charAt(0) == '\'')
            && text.charAt(text.length() - 1) == text.charAt(0);
    return quoted ? text.substring(1, text.length() - 1) : text;
  }

  /** Does it. @return what a terminal shows, without the last newline */
  String run(LabKernel kernel) {
    if (value == null) {
      String content = kernel.read(path);
      if (content == null) {
        throw noSuchFile();
      }
      return "# cat " + path + "\n" + content;
    }
    int rc = kernel.write(path, value);
    if (rc == -Errno.ENOENT) {
      throw noSuchFile();
    }
    String shown = "# echo " + value + " > " + path;
    if (rc < 0) {
      return shown + "\necho: write error: " + message(rc);
    }
    String now = kernel.read(path);
    return now == null ? shown : shown + "\n# cat " + path + "\n" + now;
  }

  private BadInput noSuchFile() {
    return new BadInput(
        "--do "
            + path
            + ": no such file on this machine, wanted one of those that"
            + " 'vmemmap boot --help' lists");
  }

  /** strerror() of a negative error code. */
  static String message(int rc) {
    return switch (-rc) {
      case Errno.EPERM -> "Operation not permitted";
      case Errno.ENXIO -> "No such device or address";
      case Errno.ENOMEM -> "Cannot allocate memory";
      case Errno.EACCES -> "Permission denied";
      case Errno.EBUSY -> "Device or resource busy";
      case Errno.EEXIST -> "File exists";
      case Errno.ENODEV -> "No such device";
      case Errno.EINVAL -> "Invalid argument";
      case Errno.ENOSPC -> "No space left on device";
      case Errno.EOPNOTSUPP -> "Operation not supported";
      default -> "error " + -rc;
    };
  }
}
