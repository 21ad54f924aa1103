// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.KernelPanic;
import org.vmemmap.types.Page;

/**
 * What {@link ProbedClasses} puts into the ported methods: tells who fails, and after whom.
 *
 * <pre>
 *   enter A        frames: A
 *   enter B        frames: A B
 *   B returns 0 or -ENOMEM     "A after B" is seen; frames: A
 *   A returns -ENOMEM          "A after B" is taken
 * </pre>
 *
 * A helper without a tag of its own is a part of the function that calls it. The state is static,
 * as the ported code has no place for it; each {@link ProbedClasses} has its own.
 */
public final class Probes {
  private static final int MAX_ERRNO = 4095;
  private static final Deque<Frame> FRAMES = new ArrayDeque<>();
  private static final Set<String> FALLIBLE = new LinkedHashSet<>();
  private static final Set<String> SEEN = new LinkedHashSet<>();
  private static final Set<String> TAKEN = new LinkedHashSet<>();
  private static final Set<String> CAUSED = new LinkedHashSet<>();
  private static final Set<String> BY_STATE = new LinkedHashSet<>();
  private static boolean listening;

  private Probes() {}

  /**
   * A method that runs.
   *
   * @param symbol file and kernel function; those of its caller make it a part of that
   * @param failed what it called and what failed then
   * @param causes what made them fail
   */
  private record Frame(
      String method, String symbol, boolean part, Set<String> failed, Set<String> causes) {}

  /** Forgets everything; only what {@code fallible} methods return is looked at from now on. */
  static void start(Set<String> fallible) {
    FRAMES.clear();
    SEEN.clear();
    TAKEN.clear();
    CAUSED.clear();
    BY_STATE.clear();
    FALLIBLE.clear();
    FALLIBLE.addAll(fallible);
    listening = false;
  }

  /** From now on a failure counts. */
  static void listen() {
    listening = true;
  }

  /** {@code method after callee}: the callee failed, whatever the method did. */
  static Set<String> seen() {
    return Set.copyOf(SEEN);
  }

  /** The same where the method failed, too. */
  static Set<String> taken() {
    return Set.copyOf(TAKEN);
  }

  /** The same for what made the callee fail. */
  static Set<String> caused() {
    return Set.copyOf(CAUSED);
  }

  /** {@code method:line} of failures for which no callee is to blame. */
  static Set<String> byState() {
    return Set.copyOf(BY_STATE);
  }

  /** A method of this name begins; it stands for {@code symbol}, or for nothing of its own. */
  public static void enter(String method, String symbol) {
    Frame caller = FRAMES.peek();
    boolean part = symbol.isEmpty() || (caller != null && caller.symbol().equals(symbol));
    String of = symbol.isEmpty() && caller != null ? caller.symbol() : symbol;
    FRAMES.push(new Frame(method, of, part, new LinkedHashSet<>(), new LinkedHashSet<>()));
  }

  /** It returns nothing that could be an error. */
  public static void leave() {
    leave(false, 0);
  }

  /** It returns an int. */
  public static void leave(int value, int line) {
    leave(value < 0 && value >= -MAX_ERRNO, line);
  }

  /** It returns an address. */
  public static void leave(long value, int line) {
    leave(value <= 0 && value >= -MAX_ERRNO, line);
  }

  /** It returns an object. */
  public static void leave(@Nullable Object value, int line) {
    leave(value == null || (value instanceof Page page && page.isErr()), line);
  }

  /** It throws. */
  public static void thrown(Throwable what, int line) {
    if (what instanceof KernelPanic && listening) {
      while (true) {
        Frame frame = FRAMES.pop();
        Frame caller = FRAMES.peek();
        if (!frame.part() || caller == null) {
          took(frame, line);
          saw(name(frame.method()));
          return;
        }
        caller.failed().addAll(frame.failed());
        caller.causes().addAll(frame.causes());
      }
    }
  }

  private static void leave(boolean fails, int line) {
    Frame frame = FRAMES.pop();
    boolean counts = fails && listening;
    if (counts && !frame.part()) {
      took(frame, line);
    }
    Frame caller = FRAMES.peek();
    if (caller == null) {
      return;
    }
    boolean same = frame.part() && frame.method().equals(caller.method());
    if (counts && !same && FALLIBLE.contains(name(frame.method()))) {
      caller.failed().add(name(frame.method()));
      caller.causes().addAll(frame.failed());
      caller.causes().addAll(frame.causes());
      saw(name(frame.method()));
    } else if (frame.part()) {
      caller.failed().addAll(frame.failed());
      caller.causes().addAll(frame.causes());
    }
  }

  private static void saw(String callee) {
    for (Frame frame : FRAMES) {
      if (!frame.part()) {
        SEEN.add(frame.method() + " after " + callee);
        return;
      }
    }
  }

  private static void took(Frame frame, int line) {
    if (frame.failed().isEmpty()) {
      BY_STATE.add(frame.method() + ":" + line);
    }
    frame.failed().forEach(callee -> TAKEN.add(frame.method() + " after " + callee));
    frame.causes().forEach(callee -> CAUSED.add(frame.method() + " after " + callee));
  }

  private static String name(String method) {
    return method.substring(method.indexOf('.') + 1);
  }
}
