// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
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
 * A helper without a tag of its own is a part of the function that calls it, and so is a function
 * that only hands on what a function says that was passed to it. The state is static, as the ported
 * code has no place for it; each {@link ProbedClasses} has its own.
 */
public final class Probes {
  private static final int MAX_ERRNO = 4095;
  private static final Set<String> ERRORS = Set.of("err", "error", "rc", "ret");
  private static final Deque<Frame> FRAMES = new ArrayDeque<>();
  private static final Set<String> FALLIBLE = new LinkedHashSet<>();
  private static final Set<String> HANDING_ON = new LinkedHashSet<>();
  private static final Set<String> SEEN = new LinkedHashSet<>();
  private static final Set<String> TAKEN = new LinkedHashSet<>();
  private static final Set<String> CAUSED = new LinkedHashSet<>();
  private static final Set<String> BY_STATE = new LinkedHashSet<>();
  private static final Set<String> SURVIVED = new LinkedHashSet<>();
  private static final Set<String> CODES = new LinkedHashSet<>();
  private static final Set<Said> SAID = new HashSet<>();

  /** What reads the error that a record of this class may hold. */
  private static final ClassValue<Optional<Method>> ERROR =
      new ClassValue<>() {
        @Override
        protected Optional<Method> computeValue(Class<?> type) {
          return accessor(type);
        }
      };

  private static boolean listening;

  private Probes() {}

  /** What a method said for which no callee is to blame: most of it is said over and over. */
  private record Said(String method, String code, int line) {}

  /** A method that runs. Most never see a failure, so what one needs for that is made when it does. */
  private static final class Frame {
    final String method;

    /** File and kernel function; those of its caller make it a part of that. */
    final String symbol;

    final boolean part;

    /** True when it only hands on what a function says that it was given. */
    final boolean handsOn;

    /** What it called and what failed then, with what they said. */
    Map<String, Set<String>> failed = Map.of();

    /** What made them fail. */
    Set<String> causes = Set.of();

    Frame(String method, String symbol, boolean part, boolean handsOn) {
      this.method = method;
      this.symbol = symbol;
      this.part = part;
      this.handsOn = handsOn;
    }

    void fails(String callee, Collection<String> codes) {
      if (failed.isEmpty()) {
        failed = new LinkedHashMap<>();
      }
      failed.computeIfAbsent(callee, c -> new TreeSet<>()).addAll(codes);
    }

    void isCausedBy(Set<String> callees) {
      if (!callees.isEmpty()) {
        causes = new LinkedHashSet<>(causes);
        causes.addAll(callees);
      }
    }

    /** What a part of it met, it has met. */
    void takeOver(Frame part) {
      if (!part.failed.isEmpty()) {
        part.failed.forEach(this::fails);
      }
      isCausedBy(part.causes);
    }
  }

  /**
   * Forgets everything; only what {@code fallible} methods return is looked at from now on, and what
   * {@code handingOn} methods, with their classes, say is said by a function that they were given.
   */
  static void start(Set<String> fallible, Set<String> handingOn) {
    FRAMES.clear();
    SEEN.clear();
    TAKEN.clear();
    CAUSED.clear();
    BY_STATE.clear();
    SURVIVED.clear();
    CODES.clear();
    SAID.clear();
    FALLIBLE.clear();
    FALLIBLE.addAll(fallible);
    HANDING_ON.clear();
    HANDING_ON.addAll(handingOn);
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

  /** The same where the method did not fail. */
  static Set<String> survived() {
    return Set.copyOf(SURVIVED);
  }

  /**
   * {@code method: code callee=codes ...}: what the method said, and what those had said that failed
   * before; none where nobody is to blame.
   */
  static Set<String> codes() {
    return Set.copyOf(CODES);
  }

  /** A method of this name begins; it stands for {@code symbol}, or for nothing of its own. */
  public static void enter(String method, String symbol) {
    Frame caller = FRAMES.peek();
    boolean handsOn = caller != null && HANDING_ON.contains(method);
    boolean part =
        symbol.isEmpty() || handsOn || (caller != null && caller.symbol.equals(symbol));
    String of = (symbol.isEmpty() || handsOn) && caller != null ? caller.symbol : symbol;
    FRAMES.push(new Frame(method, of, part, handsOn));
  }

  /** It returns nothing that could be an error. */
  public static void leave() {
    leave("", 0);
  }

  /** It answers yes or no, and no is a failure of those that are listed. */
  public static void leave(boolean value, int line) {
    leave(value ? "" : "false", line);
  }

  /** It returns an int. */
  public static void leave(int value, int line) {
    leave(code(value), line);
  }

  /** It returns an address. */
  public static void leave(long value, int line) {
    leave(value == 0 ? "NULL" : code(value), line);
  }

  /** It returns an object; a record may hold an error instead of what was wanted. */
  public static void leave(@Nullable Object value, int line) {
    switch (value) {
      case null -> leave("NULL", line);
      case Page page -> leave(page.isErr() ? code(page.va()) : "", line);
      case Record record -> leave(error(record), line);
      default -> leave("", line);
    }
  }

  private static String code(long value) {
    return value < 0 && value >= -MAX_ERRNO ? Errno.name((int) value) : "";
  }

  private static String error(Record record) {
    Method error = ERROR.get(record.getClass()).orElse(null);
    try {
      return error == null ? "" : code((int) error.invoke(record));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Optional<Method> accessor(Class<?> type) {
    Optional<Method> error =
        Stream.of(type.getRecordComponents())
            .filter(each -> each.getType() == int.class && ERRORS.contains(each.getName()))
            .map(RecordComponent::getAccessor)
            .findFirst();
    error.ifPresent(method -> method.setAccessible(true));
    return error;
  }

  /** It throws. */
  public static void thrown(Throwable what, int line) {
    if (what instanceof KernelPanic && listening) {
      while (true) {
        Frame frame = FRAMES.pop();
        Frame caller = FRAMES.peek();
        if (!frame.part || caller == null) {
          took(frame, "panic", line);
          saw(name(frame.method));
          return;
        }
        caller.takeOver(frame);
      }
    }
  }

  /** It returns {@code code}, an error; empty for none. */
  private static void leave(String code, int line) {
    Frame frame = FRAMES.pop();
    boolean counts = !code.isEmpty() && listening;
    if (!frame.part) {
      ended(frame, counts ? code : "", line);
    }
    Frame caller = FRAMES.peek();
    if (caller == null) {
      return;
    }
    boolean same = frame.part && frame.method.equals(caller.method);
    if (counts && !same && !frame.handsOn && FALLIBLE.contains(name(frame.method))) {
      caller.fails(name(frame.method), Set.of(code));
      caller.isCausedBy(frame.failed.keySet());
      caller.isCausedBy(frame.causes);
      saw(name(frame.method));
    } else if (frame.part) {
      if (counts && frame.handsOn) {
        SEEN.add(frame.method + " after ");
      }
      caller.takeOver(frame);
    }
  }

  private static void saw(String callee) {
    for (Frame frame : FRAMES) {
      if (!frame.part) {
        SEEN.add(frame.method + " after " + callee);
        return;
      }
    }
  }

  private static void ended(Frame frame, String code, int line) {
    if (!code.isEmpty()) {
      took(frame, code, line);
    } else if (listening && !frame.failed.isEmpty()) {
      frame.failed.keySet().forEach(callee -> SURVIVED.add(frame.method + " after " + callee));
    }
  }

  private static void took(Frame frame, String code, int line) {
    if (frame.failed.isEmpty()) {
      if (frame.causes.isEmpty() && !SAID.add(new Said(frame.method, code, line))) {
        return;
      }
      BY_STATE.add(frame.method + ":" + line);
    }
    StringBuilder said = new StringBuilder(frame.method).append(": ").append(code);
    frame.failed.forEach(
        (callee, codes) -> {
          TAKEN.add(frame.method + " after " + callee);
          said.append(' ').append(callee).append('=').append(String.join(",", codes));
        });
    CODES.add(said.toString());
    frame.causes.forEach(callee -> CAUSED.add(frame.method + " after " + callee));
  }

  private static String name(String method) {
    return method.substring(method.indexOf('.') + 1);
  }
}
