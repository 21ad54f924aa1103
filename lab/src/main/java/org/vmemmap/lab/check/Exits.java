// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static java.util.stream.Collectors.groupingBy;

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
import java.util.stream.Stream;
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
  private static final String STATE = "state";
  private static final String FUNC = "func";
  private static final String ONLY = "only: ";
  private static final int FIELDS = 6;

  /**
   * An exit.
   *
   * @param file kernel file
   * @param symbol kernel function
   * @param method its Java method, as {@code Class.method}
   * @param after the Java method whose failure leads to it; {@code -} when it asks itself, {@code -
   *     SITE} when it asks for several things, {@code state} when it finds what it refuses, {@code
   *     state:method} when another has found that, {@code func} when it hands on what a function
   *     says that it was given
   * @param does what the function does then
   * @param never why no failure leads to it; empty when one does
   */
  public record Exit(
      String file, String symbol, String method, String after, String does, String never) {
    /** As in {@code sparse_index_init (mm/sparse.c) after sparse_index_alloc: returns -ENOMEM}. */
    String text() {
      String cause = callee().isEmpty() ? "" : " after " + Tracer.snake(callee());
      return symbol + " (" + file + ")" + cause + ": " + does;
    }

    /** The Java method that fails before; empty when it is the function itself. */
    public String callee() {
      boolean itself = after.startsWith(OWN_REQUEST) || handsOn();
      return byState() ? after.substring(STATE.length()).replace(":", "") : itself ? "" : after;
    }

    /** True when it is the answer to a function that was passed to it. */
    public boolean handsOn() {
      return after.equals(FUNC);
    }

    /** True when it is not the answer to a request that was refused. */
    public boolean byState() {
      return after.startsWith(STATE);
    }

    /** True when the function fails then, too. */
    public boolean fails() {
      return Stream.of(does.split(", ", -1))
          .anyMatch(what -> what.startsWith("returns") || what.startsWith("panics"));
    }

    /** True when the kernel crashes then. */
    public boolean dies() {
      return does.startsWith("dies");
    }

    /** True when a failure leads to it in {@code mode}. */
    public boolean reachable(String mode) {
      return never.isEmpty() || (never.startsWith(ONLY) && !mode.equals("only"));
    }
  }

  private static final List<Exit> ALL =
      lines().stream().filter(line -> !line.startsWith("#")).map(Exits::parse).toList();
  private static final Map<String, List<Exit>> BY_METHOD =
      ALL.stream().collect(groupingBy(Exit::method));

  private final Map<Exit, Map<String, String>> reached = new HashMap<>();

  /** All exits, none of them reached. */
  public Exits() {}

  private static Exit parse(String line) {
    String[] fields = line.split(" \\| ?", -1);
    if (fields.length != FIELDS) {
      throw new IllegalStateException(LIST + ": " + line);
    }
    return new Exit(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5].strip());
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
    return ALL;
  }

  /** The exits that a failure leads to, and none has in {@code mode}. */
  public List<Exit> missing(String mode) {
    return ALL.stream()
        .filter(exit -> exit.reachable(mode) && !exit.byState())
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
    for (Exit exit : ahead(site)) {
      reached
          .computeIfAbsent(exit, e -> new LinkedHashMap<>())
          .computeIfAbsent(mode, m -> site + ", " + where);
    }
  }

  /**
   * The exits that a failure of {@code site} at this moment will take, innermost first: as far as
   * functions fail.
   */
  List<Exit> ahead(String site) {
    List<String> stack = stack();
    List<Exit> ahead = new ArrayList<>();
    for (int i = 0; i < stack.size(); i++) {
      List<Exit> next = exits(stack, i, site);
      ahead.addAll(next);
      boolean handled = !next.isEmpty() && next.stream().noneMatch(Exit::fails);
      if (handled || next.stream().anyMatch(exit -> exit.does().startsWith("panics"))) {
        break;
      }
    }
    return ahead;
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
    // Resources are ported, though they lie among the types.
    return name.equals("org.vmemmap.types.IomemResource")
        || (name.startsWith("org.vmemmap.")
        && !name.startsWith("org.vmemmap.lab.")
        && !name.startsWith("org.vmemmap.types.")
        && !name.startsWith("org.vmemmap.machine."));
  }

  private static String method(StackWalker.StackFrame frame) {
    String name = frame.getMethodName();
    return name.startsWith("lambda$") ? name.split("[$]", -1)[1] : name;
  }

  /** The exits that the {@code at}-th function of the stack may take; all after the same call. */
  private List<Exit> exits(List<String> stack, int at, String site) {
    List<String> below =
        stack.subList(0, at).stream().map(name -> name.substring(name.indexOf('.') + 1)).toList();
    List<Exit> own = BY_METHOD.getOrDefault(stack.get(at), List.of());
    for (Exit exit : own) {
      boolean itself = at == 0
          && (exit.after().equals(OWN_REQUEST) || exit.after().equals(OWN_REQUEST + " " + site));
      if (itself || below.contains(exit.after()) || (exit.handsOn() && at > 0)) {
        return own.stream().filter(each -> each.after().equals(exit.after())).toList();
      }
    }
    return List.of();
  }

  /** The exits and the step that led to each, in both modes. */
  public String table() {
    Table table = new Table("lll", "exit", "only one fails", "all fail from one on");
    for (Exit exit : ALL) {
      table.row(exit.text(), cell(exit, "only"), cell(exit, "from"));
    }
    int missing = missing("only").size() + missing("from").size();
    return table + "\n" + ALL.size() + " exits in 2 modes, " + missing + " not reached";
  }

  private String cell(Exit exit, String mode) {
    String none = exit.byState() ? "by what it finds" : "-";
    String reason = exit.reachable(mode) ? none : "never: " + exit.never().replace(ONLY, "");
    return reached.getOrDefault(exit, Map.of()).getOrDefault(mode, reason);
  }

  /** The same as JSON. */
  public String json() {
    Json json = new Json().object().list("exits");
    for (Exit exit : ALL) {
      Map<String, String> modes = new TreeMap<>(reached.getOrDefault(exit, Map.of()));
      json.object()
          .put("file", exit.file())
          .put("symbol", exit.symbol())
          .put("after", Tracer.snake(exit.after()))
          .put("does", exit.does())
          .put("never", exit.never())
          .put("only", modes.getOrDefault("only", ""))
          .put("from", modes.getOrDefault("from", ""))
          .endObject();
    }
    return json.endList().endObject().toString();
  }
}
