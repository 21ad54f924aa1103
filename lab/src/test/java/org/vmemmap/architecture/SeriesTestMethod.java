// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A test with the tag of a patch, as its source has it: annotations do not say which levels it runs.
 *
 * @param name class and method
 * @param patches the patches that it is tagged with
 * @param body what it does
 */
record SeriesTestMethod(String name, List<Integer> patches, String body) {
  private static final Pattern METHOD =
      Pattern.compile("((?:  @.*\\n|  {2,}.*\\n)+)  void (\\w+)\\(.*\\n((?:   .*\\n|\\n)*)  }\\n");
  private static final Pattern TAG = Pattern.compile("@Tag\\(\"patch-(\\d\\d)\"\\)");

  /** The tagged tests below a folder. */
  static List<SeriesTestMethod> all(Path folder) throws IOException {
    List<SeriesTestMethod> tests = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith("Test.java")).sorted().toList()) {
        String type = file.getFileName().toString().replace(".java", "");
        Matcher method = METHOD.matcher(Files.readString(file));
        while (method.find()) {
          List<Integer> patches =
              TAG.matcher(method.group(1))
                  .results()
                  .map(tag -> Integer.valueOf(tag.group(1)))
                  .toList();
          boolean isTest = method.group(1).contains("Test\n");
          if (isTest && !patches.isEmpty()) {
            tests.add(
                new SeriesTestMethod(type + "." + method.group(2), patches, method.group(3)));
          }
        }
      }
    }
    return tests;
  }

  /** True when the body names the level. */
  boolean names(int level) {
    return Pattern.compile("(?<![\\w.])" + level + "(?![\\w.])").matcher(body).find();
  }
}
