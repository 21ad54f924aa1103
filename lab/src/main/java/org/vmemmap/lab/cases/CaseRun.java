// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.cases.ReplayResult.CaseResult;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.KernelPanic;

/** One case on one machine, from boot to the last step. */
final class CaseRun {
  private static final String NOT_KNOWN = "(a key that this version does not know)";

  private final VmemmapCase one;
  private final Listener listener;
  private final CasePlacement placement;
  private final List<Mismatch> mismatches = new ArrayList<>();
  private long facts;
  private @Nullable CaseMachineRun machine;
  private @Nullable ActualState state;

  /** Hears what the model showed after each step. */
  @FunctionalInterface
  interface Listener {
    /** Called after the step was compared. */
    void looked(VmemmapCase.Step step, Map<String, Object> actual);
  }

  CaseRun(VmemmapCase one) {
    this(one, (step, actual) -> {});
  }

  CaseRun(VmemmapCase one, Listener listener) {
    this.one = one;
    this.listener = listener;
    this.placement = new CasePlacement(one);
  }

  /** Runs all steps; stops where the model breaks down. */
  CaseResult run() {
    one.machine()
        .unknown()
        .forEach((key, node) -> problem(-1, "", "machine." + key, node.toString(), NOT_KNOWN));
    for (int i = 0; i < one.steps().size(); i++) {
      if (!step(i, one.steps().get(i))) {
        break;
      }
    }
    return new CaseResult(one.name(), facts, mismatches);
  }

  /** Does all operations and compares nothing. Returns the machine as it is then. */
  LabKernel machineAfter() {
    for (int i = 0; i < one.steps().size(); i++) {
      VmemmapCase.Step step = one.steps().get(i);
      placement.enter(i);
      Comparer unread = new Comparer(i, step.label(), one.wordMask0());
      for (VmemmapCase.Operation operation : step.operations()) {
        operation("do", step, operation, unread);
      }
      booted().settle();
    }
    return booted().kernel();
  }

  private void problem(int step, String label, String path, String expected, String actual) {
    facts++;
    mismatches.add(new Mismatch(step, label, path, expected, actual));
  }

  /** Runs a step; false when the model broke down in it. */
  private boolean step(int number, VmemmapCase.Step step) {
    Comparer comparer = new Comparer(number, step.label(), one.wordMask0());
    String[] where = {"do"};
    try {
      placement.enter(number);
      step.unknown().forEach((key, node) -> comparer.differs(key, node.toString(), NOT_KNOWN));
      for (int j = 0; j < step.operations().size(); j++) {
        where[0] = "do[" + j + "]";
        operation(where[0], step, step.operations().get(j), comparer);
      }
      where[0] = "expect";
      look(step, comparer);
      return true;
    } catch (KernelBug | KernelPanic | MachineFault | BadInput e) {
      comparer.differs(where[0], "a kernel that goes on", broke(e));
      return false;
    } catch (RuntimeException e) {
      comparer.differs(where[0], "a model that goes on", broke(e));
      return false;
    } finally {
      facts += comparer.facts();
      mismatches.addAll(comparer.mismatches());
    }
  }

  /** The exception, and the innermost method that it came from. */
  private static String broke(RuntimeException e) {
    StringBuilder text = new StringBuilder(e.getClass().getSimpleName());
    text.append(": ").append(e.getMessage());
    StackTraceElement[] stack = e.getStackTrace();
    for (int i = 0; i < Math.min(4, stack.length); i++) {
      text.append(i == 0 ? " at " : " < ").append(shortName(stack[i]));
    }
    return text.toString();
  }

  private static String shortName(StackTraceElement element) {
    String type = element.getClassName();
    return type.substring(type.lastIndexOf('.') + 1)
        + "."
        + element.getMethodName()
        + ":"
        + element.getLineNumber();
  }

  private void operation(
      String path, VmemmapCase.Step step, VmemmapCase.Operation operation, Comparer comparer) {
    operation
        .unknown()
        .forEach((key, node) -> comparer.differs(path + "." + key, node.toString(), NOT_KNOWN));
    Map<String, Object> results = new LinkedHashMap<>();
    if (operation.args() instanceof VmemmapCase.Boot boot) {
      CaseMachineRun booted = CaseMachineRun.boot(one.machine(), boot, placement);
      booted.name(one.devices());
      machine = booted;
      state = new ActualState(booted.view(), one.wordMask0());
    } else {
      results = perform(operation, step);
    }
    for (Map.Entry<String, JsonNode> result : operation.results().entrySet()) {
      Shape shape = Shape.RESULTS.known().get(result.getKey());
      if (shape != null) {
        String at = path + "." + result.getKey();
        comparer.compare(at, result.getValue(), results.get(result.getKey()), shape);
      }
    }
  }

  /** Where the captured kernel crashed, the model has to crash too, and that is the result. */
  private Map<String, Object> perform(VmemmapCase.Operation operation, VmemmapCase.Step step) {
    try {
      return booted().perform(operation.args(), step);
    } catch (MachineFault e) {
      if (operation.results().get("oops") instanceof JsonNode.Obj wanted) {
        return Map.of("oops", Oops.of(e, wanted.members(), booted().view().mm()));
      }
      throw e;
    }
  }

  private CaseMachineRun booted() {
    if (machine == null) {
      throw new BadInput(one.file() + ": the first operation is not \"boot\"");
    }
    return machine;
  }

  private void look(VmemmapCase.Step step, Comparer comparer) {
    CaseMachineRun run = booted();
    run.settle();
    if (state != null) {
      Map<String, Object> actual = state.read(step.expect());
      comparer.compare("", step.expect(), actual, Shape.EXPECT);
      listener.looked(step, actual);
    }
    for (Invariants.Violation violation : run.invariants().violations()) {
      comparer.differs("invariant " + violation.rule(), "holds", violation.toString());
    }
  }
}
