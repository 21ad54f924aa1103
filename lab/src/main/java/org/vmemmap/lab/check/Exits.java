// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.report.Json;
import org.vmemmap.lab.report.Table;

/**
 * The failure exits of the files that build, share and tear down the memmap, and which allocation
 * leads to each.
 *
 * <p>The list is data, read from the kernel's functions at level 49: {@code failure-exits.txt}. When
 * a step is made to fail, the Java stack says through which functions the failure will travel. An
 * exit is a pair of a function and the function whose failure it answers.
 *
 * <pre>
 *   vmemmap_alloc_block  &lt;- vmemmap_alloc_block_buf  &lt;- vmemmap_pte_populate  &lt;- ...    the stack
 *        `-- exit --'              `----- exit -----'
 * </pre>
 */
public final class Exits {
  private static final String LIST = "failure-exits.txt";
  private static final String OWN_REQUEST = "-";
  private static final int FIELDS = 5;

  /**
   * An exit.
   *
   * @param file kernel file
   * @param symbol kernel function
   * @param method its Java method, as {@code Class.method}
   * @param after the Java method whose failure leads to it; {@code -} when it asks itself
   * @param does what the function does then
   */
  public record Exit(String file, String symbol, String method, String after, String does) {
    /** As in {@code sparse_index_init (mm/sparse.c) after sparse_index_alloc: returns -ENOMEM}. */
    String text() {
      String cause = after.equals(OWN_REQUEST) ? "" : " after " + Tracer.snake(after);
      return symbol + " (" + file + ")" + cause + ": " + does;
    }
  }

  private final List<Exit> all = new ArrayList<>();
  private final Map<String, List<Exit>> byMethod = new HashMap<>();
  private final Map<Exit, Map<String, String>> reached = new HashMap<>();

  /** All exits, none of them reached. */
  public Exits() {
    for (String line : lines()) {
      if (!line.startsWith("#")) {
        String[] fields = line.split(" \\| ", -1);
        if (fields.length != FIELDS) {
          throw new IllegalStateException(LIST + ": " + line);
        }
        Exit exit = new Exit(fields[0], fields[1], fields[2], fields[3], fields[4]);
        all.add(exit);
        byMethod.computeIfAbsent(exit.method(), m -> new ArrayList<>()).add(exit);
      }
    }
  }

  private static List<String> lines() {
    try (InputStream in = Exits.class.getResourceAsStream(LIST)) {
      byte[] bytes = Objects.requireNonNull(in, LIST).readAllBytes();
      return new String(bytes, StandardCharsets.UTF_8).lines().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All exits, in the order of the kernel's files. */
  public List<Exit> all() {
    return List.copyOf(all);
  }

  /** The exits that no failure has led to in {@code mode}. */
  public List<Exit> missing(String mode) {
    return all.stream()
        .filter(exit -> !reached.getOrDefault(exit, Map.of()).containsKey(mode))
        .toList();
  }

  /**
   * To be called in the middle of a step that is made to fail.
   *
   * @param site the step
   * @param mode how steps are selected
   * @param where scenario and world
   */
  void refused(String site, String mode, String where) {
    List<String> stack = stack();
    for (int i = 0; i < stack.size(); i++) {
      Exit exit = exit(stack, i);
      if (exit != null) {
        reached
            .computeIfAbsent(exit, e -> new LinkedHashMap<>())
            .computeIfAbsent(mode, m -> site + ", " + where);
      }
    }
  }

  /** The methods that run now, innermost first, as {@code Class.method}. */
  private static List<String> stack() {
    StackWalker walker = StackWalker.getInstance(StackWalker.Option.RETAIN_CLASS_REFERENCE);
    return walker.walk(
        frames ->
            frames
                .filter(frame -> ported(frame.getClassName()))
                .map(frame -> frame.getDeclaringClass().getSimpleName() + "." + method(frame))
                .toList());
  }

  private static boolean ported(String name) {
    return name.startsWith("org.vmemmap.")
        && !name.startsWith("org.vmemmap.lab.")
        && !name.startsWith("org.vmemmap.types.")
        && !name.startsWith("org.vmemmap.machine.");
  }

  private static String method(StackWalker.StackFrame frame) {
    String name = frame.getMethodName();
    return name.startsWith("lambda$") ? name.split("[$]", -1)[1] : name;
  }

  /** The exit that the {@code at}-th function of the stack will take; null for none that is listed. */
  private @Nullable Exit exit(List<String> stack, int at) {
    List<Exit> exits = byMethod.getOrDefault(stack.get(at), List.of());
    for (int below = at - 1; below >= 0 && !exits.isEmpty(); below--) {
      String name = stack.get(below).substring(stack.get(below).indexOf('.') + 1);
      for (Exit exit : exits) {
        if (exit.after().equals(name)) {
          return exit;
        }
      }
    }
    boolean itself = at == 0 && exits.size() == 1 && exits.getFirst().after().equals(OWN_REQUEST);
    return itself ? exits.getFirst() : null;
  }

  /** The exits and the step that led to each, in both modes. */
  public String table() {
    Table table = new Table("lll", "exit", "only one fails", "all fail from one on");
    for (Exit exit : all) {
      Map<String, String> modes = reached.getOrDefault(exit, Map.of());
      table.row(exit.text(), modes.getOrDefault("only", "-"), modes.getOrDefault("from", "-"));
    }
    int missing = missing("only").size() + missing("from").size();
    return table + "\n" + all.size() + " exits in 2 modes, " + missing + " not reached";
  }

  /** The same as JSON. */
  public String json() {
    Json json = new Json().object().list("exits");
    for (Exit exit : all) {
      Map<String, String> modes = new TreeMap<>(reached.getOrDefault(exit, Map.of()));
      json.object()
          .put("file", exit.file())
          .put("symbol", exit.symbol())
          .put("after", Tracer.snake(exit.after()))
          .put("does", exit.does())
          .put("only", modes.getOrDefault("only", ""))
          .put("from", modes.getOrDefault("from", ""))
          .endObject();
    }
    return json.endList().endObject().toString();
  }
}
