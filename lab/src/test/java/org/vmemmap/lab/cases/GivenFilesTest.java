// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every given file is read, and there is no key in any of them that the reader does not know. */
class GivenFilesTest {
  /** All folders, with the number of files that each has. */
  @ParameterizedTest
  @CsvSource({
    "x86-64, 40",
    "x86-64-more, 38",
    "arm64-more, 14",
    "powerpc-more, 20",
    "x86-64-7.2.13, 5",
    "arm64, 40",
    "powerpc, 71",
    "x86-64-7.1.3, 5",
    "x86-64-7.2.12, 3",
    "x86-64-7.3.4, 4"
  })
  void read_allFilesOfAFolder_leavesNoKeyUnknown(String folder, int files) {
    Map<String, String> unknown = new TreeMap<>();
    for (Path path : GivenCases.files(folder)) {
      VmemmapCase one = CaseFiles.read(path);
      one.machine().unknown().keySet().forEach(key -> unknown.put(key, one.name()));
      for (VmemmapCase.Step step : one.steps()) {
        step.unknown().keySet().forEach(key -> unknown.put(key, one.name()));
        step.operations()
            .forEach(op -> op.unknown().keySet().forEach(key -> unknown.put(key, one.name())));
        unknownIn(step.expect(), Shape.EXPECT, one.name(), unknown);
      }
    }

    assertEquals(Map.of(), unknown);
    assertEquals(files, GivenCases.files(folder).size());
  }

  private static void unknownIn(
      JsonNode node, Shape shape, String name, Map<String, String> unknown) {
    switch (shape) {
      case Shape.Members members ->
          ((JsonNode.Obj) node)
              .members()
              .forEach(
                  (key, value) -> {
                    Shape known = members.known().get(key);
                    if (known == null) {
                      unknown.put(key, name);
                    } else {
                      unknownIn(value, known, name, unknown);
                    }
                  });
      case Shape.Items list ->
          ((JsonNode.Arr) node).items().forEach(one -> unknownIn(one, list.item(), name, unknown));
      case Shape.Sequence list ->
          ((JsonNode.Arr) node).items().forEach(one -> unknownIn(one, list.item(), name, unknown));
      default -> {}
    }
  }
}
