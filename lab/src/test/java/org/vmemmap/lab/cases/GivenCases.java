// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The case files of the repository. */
final class GivenCases {
  private GivenCases() {}

  /** The folder of all cases; tests run in the module's folder. */
  static Path root() {
    return Path.of("..", "cases");
  }

  /** One case of x86-64. */
  static VmemmapCase x86(String name) {
    return CaseFiles.read(root().resolve("x86-64").resolve(name + ".json"));
  }

  /** The files of a folder in order. */
  static List<Path> files(String folder) {
    try (Stream<Path> all = Files.list(root().resolve(folder))) {
      return all.filter(path -> path.toString().endsWith(".json")).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
