// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;

/** The list of failure exits is that of the code, and each is reached or says why it is not. */
class ReachedExitsTest {
  private static final List<Exits.Exit> EXITS = new Exits().all();
  private static final List<ExitCode.Body> FUNCTIONS = functions();

  /** These answer a question: a number of pages, of which 0 is none, or who it is, null for nobody. */
  private static final Set<String> ANSWERS =
      Set.of(
          "SparseVmemmap.vmemAltmapNrFree",
          "SparseVmemmap.sectionNrVmemmapPages",
          "MemoryHotplug.pfnToOnlinePage",
          "MemoryHotplug.findSmallestSectionPfn",
          "MemoryHotplug.findBiggestSectionPfn",
          "MemoryBlocks.earlyNodeZoneForMemoryBlock",
          "Hstates.sizeToHstate",
          "Kmem.stateShow");

  /** Functions of the files that are in the list: all of these have to be in it. */
  private static List<ExitCode.Body> functions() {
    Set<String> callees = new LinkedHashSet<>();
    Set<String> files = new TreeSet<>();
    for (Exits.Exit exit : EXITS) {
      callees.add(exit.callee());
      files.add(exit.file());
    }
    return new ExitCode().functions(callees).stream()
        .filter(function -> files.contains(function.file()))
        .toList();
  }

  private static List<Exits.Exit> of(String method, List<Exits.Exit> exits) {
    return exits.stream().filter(exit -> exit.method().equals(method)).toList();
  }

  private static String name(Exits.Exit exit) {
    return exit.method().substring(exit.method().indexOf('.') + 1);
  }

  /** Names of the methods that can fail. */
  private static Set<String> fallible(List<Exits.Exit> exits) {
    Set<String> names = new TreeSet<>();
    for (Exits.Exit exit : exits) {
      if (exit.does().contains("returns") && !exit.handsOn()) {
        names.add(name(exit));
      }
      names.add(exit.callee());
    }
    return names;
  }

  /** Whom it calls, and whose failures those hand on. */
  private static Set<String> calls(ExitCode.Body function, List<Exits.Exit> exits) {
    Set<String> calls = new TreeSet<>(function.calls());
    exits.stream()
        .filter(exit -> function.calls().contains(name(exit)))
        .forEach(exit -> calls.add(exit.callee()));
    return calls;
  }

  /** Where a list and the code differ. */
  private static List<String> differences(List<Exits.Exit> exits) {
    List<String> wrong = new ArrayList<>();
    Set<String> fallible = fallible(exits);
    Set<String> methods = new TreeSet<>();
    for (ExitCode.Body function : FUNCTIONS) {
      List<Exits.Exit> own = of(function.method(), exits);
      methods.add(function.method());
      Set<String> callees = new TreeSet<>();
      own.forEach(exit -> callees.add(exit.callee()));
      callees.stream()
          .filter(callee -> !callee.isEmpty() && !calls(function, exits).contains(callee))
          .forEach(callee -> wrong.add(function.method() + " does not call " + callee));
      new TreeSet<>(function.calls())
          .stream()
              .filter(call -> fallible.contains(call) && !callees.contains(call))
              .forEach(call -> wrong.add(function.method() + " has no exit after " + call));
      boolean fails = !function.result().equals("void") && !ANSWERS.contains(function.method());
      if (fails && function.failures().size() > own.size()) {
        wrong.add(function.method() + " fails in more places than it has exits");
      }
    }
    exits.stream()
        .filter(exit -> !methods.contains(exit.method()))
        .forEach(exit -> wrong.add("no such function: " + exit.text()));
    return wrong;
  }

  /**
   * The list against the compiled code. A function calls what its exits come after; it has an exit
   * after each call that can fail; it fails in no more places than it has exits. Expect no
   * difference.
   */
  @Test
  void all_exits_areThoseOfTheCode() {
    assertEquals("", String.join("\n", differences(EXITS)));
  }

  /** Lists with an exit too few and with one too many. Expect each to be named. */
  @Test
  void differences_wrongLists_areFound() {
    List<Exits.Exit> few = new ArrayList<>(EXITS);
    few.removeIf(exit -> exit.method().equals("HugetlbVmemmap.vmemmapSplitPmd"));
    assertEquals(
        List.of(
            "HugetlbVmemmap.vmemmapSplitPmd has no exit after pteAllocOneKernel",
            "HugetlbVmemmap.vmemmapSplitPmd fails in more places than it has exits"),
        differences(few));
    List<Exits.Exit> many = new ArrayList<>(EXITS);
    many.add(
        new Exits.Exit(
            "mm/sparse.c", "sparse_index_init", "Sparse.sparseIndexInit", "kzallocUsage",
            "goes on", ""));
    assertEquals(
        List.of("Sparse.sparseIndexInit does not call kzallocUsage"), differences(many));
  }

  /**
   * Failures are led to the exits, and the code tells which way it took. Expect each exit that is not
   * marked to be taken, one that is marked not to be, and none that is not in the list.
   */
  @Test
  void all_exits_areReachedInBothModesOrMarked() throws ReflectiveOperationException {
    List<String> facts = facts();
    List<String> wrong = new ArrayList<>(lines(facts, ExitRuns.WRONG));
    Set<String> seen = lines(facts, ExitRuns.SEEN);
    EXITS.stream()
        .filter(exit -> exit.byState() && !exit.callee().isEmpty() && exit.never().isEmpty())
        .filter(exit -> !seen.contains(exit.method() + " after " + exit.callee()))
        .forEach(exit -> wrong.add("not reached: " + exit.text()));
    Set<String> listed = new TreeSet<>();
    EXITS.forEach(exit -> listed.add(exit.method() + " after " + exit.callee()));
    for (ExitCode.Body function : FUNCTIONS) {
      lines(facts, ExitRuns.TAKEN).stream()
          .filter(pair -> pair.startsWith(function.method() + " ") && !listed.contains(pair))
          .forEach(pair -> wrong.add("not in the list: " + pair));
      if (!ANSWERS.contains(function.method())) {
        byState(function, lines(facts, ExitRuns.STATE), wrong);
      }
    }
    codes(lines(facts, ExitRuns.CODE), wrong);
    assertEquals("", String.join("\n", wrong));
  }

  private static List<String> facts() throws ReflectiveOperationException {
    Class<?> runs = new ProbedClasses().loadClass(ExitRuns.class.getName());
    Callable<?> call = (Callable<?>) runs.getDeclaredConstructor().newInstance();
    try {
      return ((List<?>) call.call()).stream().map(String::valueOf).toList();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /** As many places at which it failed without a callee as it has exits of that kind. */
  private static void byState(ExitCode.Body function, Set<String> places, List<String> wrong) {
    String method = function.method();
    Set<Integer> met = new TreeSet<>();
    places.stream()
        .filter(place -> place.startsWith(method + ":"))
        .forEach(place -> met.add(Integer.valueOf(place.substring(method.length() + 1))));
    List<Exits.Exit> own =
        of(method, EXITS).stream().filter(exit -> exit.callee().isEmpty()).toList();
    if (own.isEmpty()) {
      met.retainAll(function.failures());
    }
    long wanted =
        own.stream()
            .filter(exit -> exit.never().isEmpty() && exit.fails() && !exit.handsOn())
            .count();
    if (met.size() != wanted) {
      wrong.add(method + ": " + wanted + " exits by what it finds, failed on lines " + met);
    }
  }

  /** What a function says is what the list says: for one of those that failed before. */
  private static void codes(Set<String> codes, List<String> wrong) {
    for (String line : codes) {
      List<String> words = List.of(line.split(" ", -1));
      String method = words.getFirst().replace(":", "");
      Set<String> wanted = new TreeSet<>();
      for (Exits.Exit exit : of(method, EXITS)) {
        if (exit.fails() && words.size() == 2 && exit.callee().isEmpty()) {
          wanted.addAll(wanted(exit, ""));
        }
        for (String failed : words.subList(2, words.size())) {
          int before = failed.indexOf('=');
          if (exit.fails() && exit.callee().equals(failed.substring(0, before))) {
            wanted.addAll(wanted(exit, failed.substring(before + 1)));
          }
        }
      }
      if (!wanted.isEmpty() && !wanted.contains(words.get(1))) {
        wrong.add(line + ", wanted " + wanted);
      }
    }
  }

  /** What it may say when its callee has said {@code before}. */
  private static Set<String> wanted(Exits.Exit exit, String before) {
    Set<String> wanted = new TreeSet<>();
    for (String does : exit.does().split(", ", -1)) {
      String[] words = does.split(" ", -1);
      if (words[0].equals("panics")) {
        wanted.add("panic");
      } else if (words[0].equals("as")) {
        wanted.add("NULL");
      } else if (words[0].equals("returns") && words[1].equals("it")) {
        wanted.addAll(List.of(before.split(",", -1)));
      } else if (words[0].equals("returns") && words[1].matches("NULL|-E.*|[0-9]+|false")) {
        wanted.add(words[1].equals("0") ? "NULL" : words[1]);
      }
    }
    return wanted;
  }

  private static Set<String> lines(List<String> facts, String kind) {
    Set<String> lines = new TreeSet<>();
    facts.stream()
        .filter(fact -> fact.startsWith(kind))
        .forEach(fact -> lines.add(fact.substring(kind.length())));
    return lines;
  }
}
