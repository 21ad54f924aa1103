// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.vmemmap.architecture.Sources.Source;

/** The rules on sources: on the product, and on sources made to break them. */
class SourcesTest {
  private static final Path ROOT = Path.of("..");
  private static final String HEAD = "// SPDX-License-Identifier: GPL-2.0-only\n";

  /** All sources of all modules. Expect no violation. */
  @Test
  void check_product_isClean() throws IOException {
    assertEquals(List.of(), Sources.check(product()));
  }

  /** A rule on nothing is no rule. Expect sources of every module. */
  @Test
  void product_everyModule_isRead() throws IOException {
    TreeSet<String> modules = new TreeSet<>();
    for (Source source : product()) {
      modules.add(source.name().substring(0, source.name().indexOf('/')));
    }
    assertTrue(
        modules.containsAll(
            List.of(
                "arch-arm64", "arch-powerpc", "arch-x86", "dax", "hugetlb", "lab", "machine",
                "mm-types", "page-alloc", "sparse-vmemmap")),
        modules.toString());
  }

  /** Each folder with classes has a package-info with a description. */
  @Test
  void packageInfo_everyPackage_isThere() throws IOException {
    List<String> missing = new ArrayList<>();
    for (Source source : product()) {
      Path info = ROOT.resolve(source.name()).resolveSibling("package-info.java");
      boolean described = Files.exists(info) && Files.readString(info).contains("/**");
      if (source.main() && !described) {
        missing.add(source.name());
      }
    }
    assertEquals(List.of(), missing);
  }

  /** No licence line. */
  @Test
  void check_noSpdxLine_isReported() throws IOException {
    assertReport("dax/A.java: first line is not the SPDX line", "package org.vmemmap.dax;\n", true);
  }

  /** A constant of an architecture: javac copies its value, so only the import shows. */
  @Test
  void check_importOfArchitecture_isReported() throws IOException {
    assertReport(
        """
        dax/A.java:3: imports org.vmemmap.arch.x86.X86Bits.WRITE
        dax/A.java:3: names the CPU in X86Bits
        dax/A.java:3: names the CPU in x86\
        """,
        HEAD
            + """
            package org.vmemmap.dax;
            import static org.vmemmap.arch.x86.X86Bits.WRITE;
            class A {
              long bits = WRITE;
            }
            """,
        true);
  }

  /** An import from the layer above, and one architecture's of another. */
  @Test
  void check_importUpwardsAndSideways_isReported() throws IOException {
    assertReport(
        "dax/A.java:3: imports org.vmemmap.hugetlb.Pool",
        HEAD + "package org.vmemmap.types;\nimport org.vmemmap.hugetlb.Pool;\nclass A {}\n",
        true);
    assertReport(
        "dax/A.java:3: imports org.vmemmap.arch.x86.Paging",
        HEAD + "package org.vmemmap.arch.arm64;\nimport org.vmemmap.arch.x86.Paging;\nclass A {}\n",
        true);
  }

  /** A cast held in a local, which class files do not show either. */
  @Test
  void check_castToArchitecture_isReported() throws IOException {
    assertReport(
        "dax/A.java:4: names the CPU in X86PageTable",
        HEAD
            + """
            package org.vmemmap.sparse;
            class A {
              void f(Object o) { Object p = (X86PageTable) o; }
            }
            """,
        true);
  }

  /** Comments, strings and tags may name a CPU; so may the captured configuration. */
  @Test
  void check_cpuInCommentsAndTags_isAllowed() throws IOException {
    assertReport(
        "",
        HEAD
            + """
            package org.vmemmap.types;
            /** As on x86. */
            class A {
              @Kernel(file = "arch/x86/mm/init_64.c", symbol = "f")
              Object f() { return MmConfig.debianX86(); }
            }
            """,
        true);
  }

  /** What is allowed: downwards, and anything in the lab and in tests. */
  @Test
  void check_importDownwards_isAllowed() throws IOException {
    assertReport(
        "", HEAD + "package org.vmemmap.dax;\nimport org.vmemmap.types.Mm;\nclass A {}\n", true);
    assertReport(
        "", HEAD + "package org.vmemmap.lab;\nimport org.vmemmap.arch.x86.A;\nclass A {}\n", true);
    assertReport(
        "", HEAD + "package org.vmemmap.dax;\nimport org.vmemmap.lab.A;\nclass A {}\n", false);
  }

  /** A method of 61 lines. Expect it, and not one of 60. */
  @Test
  void check_longMethod_isReported() throws IOException {
    String head = HEAD + "package org.vmemmap.lab;\nclass A {\n  void f() {\n";
    assertReport("dax/A.java:4: method f has 61 lines", head + "\n".repeat(59) + "  }\n}\n", true);
    assertReport("", head + "\n".repeat(58) + "  }\n}\n", true);
  }

  /** A public type and method without Javadoc. Expect both; overriding methods inherit theirs. */
  @Test
  void check_noJavadoc_isReported() throws IOException {
    assertReport(
        """
        dax/A.java:3: public type A has no Javadoc
        dax/A.java:4: public method f has no Javadoc\
        """,
        HEAD
            + """
            package org.vmemmap.lab;
            public class A {
              public void f() {}
              @Override public String toString() { return ""; }
              void g() {}
            }
            """,
        true);
  }

  private static void assertReport(String expected, String text, boolean main) throws IOException {
    List<String> report = Sources.check(List.of(new Source("dax/A.java", text, main)));
    assertEquals(expected, String.join("\n", report));
  }

  private static List<Source> product() throws IOException {
    List<Path> files = new ArrayList<>();
    try (Stream<Path> modules = Files.list(ROOT)) {
      for (Path module : modules.sorted().toList()) {
        for (String kind : List.of("src/main/java", "src/test/java")) {
          if (Files.isDirectory(module.resolve(kind))) {
            try (Stream<Path> found = Files.walk(module.resolve(kind))) {
              found.filter(f -> f.toString().endsWith(".java")).sorted().forEach(files::add);
            }
          }
        }
      }
    }
    List<Source> sources = new ArrayList<>();
    for (Path file : files) {
      String name = ROOT.relativize(file).toString().replace('\\', '/');
      sources.add(new Source(name, Files.readString(file), name.contains("/src/main/")));
    }
    return sources;
  }
}
