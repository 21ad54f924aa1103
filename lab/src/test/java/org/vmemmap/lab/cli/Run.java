// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * One run of the program inside the test's JVM.
 *
 * @param code the exit code
 * @param out what it printed
 * @param err what it complained of
 */
record Run(int code, String out, String err) {
  static Run of(String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code = Main.run(args, new PrintWriter(out), new PrintWriter(err, true));
    return new Run(code, out.toString(), err.toString());
  }

  /** A file or folder below src/test/resources. */
  static Path resource(String name) {
    try {
      return Path.of(
          java.util.Objects.requireNonNull(Run.class.getResource("/" + name), name).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  static String text(String name) {
    try {
      return Files.readString(resource(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
