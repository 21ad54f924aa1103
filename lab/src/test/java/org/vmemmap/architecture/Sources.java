// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.IdentifierTree;
import com.sun.source.tree.ImportTree;
import com.sun.source.tree.LineMap;
import com.sun.source.tree.MemberSelectTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.SourcePositions;
import com.sun.source.util.TreePathScanner;
import com.sun.source.util.Trees;
import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import javax.lang.model.element.Modifier;
import javax.tools.JavaCompiler;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/**
 * What the class files do not show: constants that javac copied, casts held in locals, the length of
 * methods, comments. Reads sources with the compiler's own parser, so comments and strings, such as
 * the kernel's file names in tags, are not mistaken for code.
 */
final class Sources {
  private static final String SPDX = "// SPDX-License-Identifier: GPL-2.0-only";
  private static final int MAX_METHOD_LINES = 60;
  private static final Pattern CPU = Pattern.compile("(?i).*(x86|amd64|arm64|aarch64|powerpc|ppc).*");

  /** Names with a CPU in them that generic code may use: where the captured kernels come from. */
  private static final List<String> CAPTURED = List.of("debianX86");

  /** What each module may import of the product; the lab, which is not listed, may import all. */
  static final Map<String, List<String>> MAY_IMPORT =
      Map.of(
          "machine", List.of(),
          "types", List.of("machine"),
          "pagealloc", List.of("machine", "types"),
          "sparse", List.of("machine", "types", "pagealloc"),
          "hugetlb", List.of("machine", "types", "pagealloc", "sparse"),
          "dax", List.of("machine", "types", "pagealloc", "sparse"),
          "arch", List.of("machine", "types", "pagealloc", "sparse"));

  private final List<String> violations = new ArrayList<>();

  /**
   * A source file.
   *
   * @param name what to call it in reports
   * @param text its content
   * @param main true for the product, false for a test
   */
  record Source(String name, String text, boolean main) {}

  /** Checks all rules; one line for each violation. */
  static List<String> check(List<Source> sources) throws IOException {
    Sources rules = new Sources();
    Map<String, Source> byName = new HashMap<>();
    for (Source source : sources) {
      byName.put("/" + source.name(), source);
      if (!source.text().startsWith(SPDX + "\n")) {
        rules.violations.add(source.name() + ": first line is not the SPDX line");
      }
    }
    JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
    List<Parsed> files = sources.stream().map(Parsed::new).toList();
    JavacTask task = (JavacTask) javac.getTask(null, null, null, List.of("-proc:none"), null, files);
    Trees trees = Trees.instance(task);
    for (CompilationUnitTree unit : task.parse()) {
      Source source = Objects.requireNonNull(byName.get(unit.getSourceFile().getName()));
      rules.new Scanner(source, unit, trees).scan(unit, null);
    }
    return rules.violations.stream().sorted().toList();
  }

  private static final class Parsed extends SimpleJavaFileObject {
    private final Source source;

    Parsed(Source source) {
      super(URI.create("string:///" + source.name()), Kind.SOURCE);
      this.source = source;
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return source.text();
    }
  }

  /** Walks one file. */
  private final class Scanner extends TreePathScanner<Void, Void> {
    private final Source source;
    private final CompilationUnitTree unit;
    private final Trees trees;
    private final String layer;

    Scanner(Source source, CompilationUnitTree unit, Trees trees) {
      super();
      this.source = source;
      this.unit = unit;
      this.trees = trees;
      this.layer = layerOf(String.valueOf(unit.getPackageName()));
    }

    @Override
    public Void visitImport(ImportTree node, Void none) {
      String name = String.valueOf(node.getQualifiedIdentifier());
      if (name.startsWith("org.vmemmap.") && source.main() && MAY_IMPORT.containsKey(layer)) {
        boolean own = name.startsWith(ownPackage());
        if (!own && !MAY_IMPORT.getOrDefault(layer, List.of()).contains(layerOf(name))) {
          report(node, "imports " + name);
        }
      }
      return super.visitImport(node, null);
    }

    @Override
    public Void visitIdentifier(IdentifierTree node, Void none) {
      checkCpu(node, node.getName().toString());
      return super.visitIdentifier(node, null);
    }

    @Override
    public Void visitMemberSelect(MemberSelectTree node, Void none) {
      checkCpu(node, node.getIdentifier().toString());
      return super.visitMemberSelect(node, null);
    }

    @Override
    public Void visitClass(ClassTree node, Void none) {
      boolean open = node.getModifiers().getFlags().contains(Modifier.PUBLIC);
      if (open && source.main() && undocumented()) {
        report(node, "public type " + node.getSimpleName() + " has no Javadoc");
      }
      return super.visitClass(node, null);
    }

    @Override
    public Void visitMethod(MethodTree node, Void none) {
      SourcePositions positions = trees.getSourcePositions();
      LineMap lines = unit.getLineMap();
      long start = positions.getStartPosition(unit, node);
      long end = positions.getEndPosition(unit, node);
      long length = end < 0 ? 0 : lines.getLineNumber(end) - lines.getLineNumber(start) + 1;
      if (length > MAX_METHOD_LINES) {
        report(node, "method " + node.getName() + " has " + length + " lines");
      }
      if (source.main() && needsJavadoc(node) && undocumented()) {
        report(node, "public method " + node.getName() + " has no Javadoc");
      }
      return super.visitMethod(node, null);
    }

    private boolean needsJavadoc(MethodTree node) {
      boolean inherited =
          node.getModifiers().getAnnotations().stream()
              .anyMatch(a -> a.getAnnotationType().toString().equals("Override"));
      boolean open = node.getModifiers().getFlags().contains(Modifier.PUBLIC);
      return open && !inherited && inPublicType();
    }

    private boolean inPublicType() {
      Tree parent = getCurrentPath().getParentPath().getLeaf();
      return parent instanceof ClassTree type
          && type.getModifiers().getFlags().contains(Modifier.PUBLIC);
    }

    private boolean undocumented() {
      return trees.getDocComment(getCurrentPath()) == null;
    }

    private void checkCpu(Tree node, String name) {
      boolean generic = source.main() && MAY_IMPORT.containsKey(layer) && !layer.equals("arch");
      if (generic && CPU.matcher(name).matches() && !CAPTURED.contains(name)) {
        report(node, "names the CPU in " + name);
      }
    }

    private String ownPackage() {
      return layer.equals("arch") ? String.valueOf(unit.getPackageName()) : "org.vmemmap." + layer;
    }

    private void report(Tree node, String what) {
      long at = trees.getSourcePositions().getStartPosition(unit, node);
      violations.add(source.name() + ":" + unit.getLineMap().getLineNumber(at) + ": " + what);
    }
  }

  private static String layerOf(String name) {
    String[] parts = name.split("\\.", -1);
    return parts.length > 2 ? parts[2] : "";
  }
}
