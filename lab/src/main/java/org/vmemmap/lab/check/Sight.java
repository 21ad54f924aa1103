// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.Zone;

/**
 * A deviation at the moment at which it was found.
 *
 * @param scenario what was run
 * @param kernel its kernel
 * @param step what was done; null for the boot
 * @param done all steps so far, {@code step} included
 * @param rule the rule that is broken
 * @param detail what was found
 * @param failed what was made to fail so far
 * @param grown counts that a failed operation has changed, and by how much
 */
record Sight(
    Scenario scenario,
    LabKernel kernel,
    @Nullable Step step,
    List<Step> done,
    String rule,
    String detail,
    List<String> failed,
    Map<String, Long> grown) {
  /** Numbers in a {@link #detail}. */
  static final Pattern PFN = Pattern.compile("pfn=0x([0-9a-f]+)");
  static final Pattern FRAME = Pattern.compile("frame=0x([0-9a-f]+)");
  static final Pattern MISSING = Pattern.compile("not-present va=0x([0-9a-f]+)");
  static final long SUBSECTION = 2L << 20;

  Sight {
    done = List.copyOf(done);
    failed = List.copyOf(failed);
    grown = Map.copyOf(grown);
  }

  boolean verb(String what) {
    return step != null && step.what().equals(what);
  }

  /** True when device DAX has been bound by now, or is being bound. */
  boolean bound() {
    return done.stream().anyMatch(each -> each.what().equals("bind"));
  }

  MachineSpec spec() {
    return scenario.spec();
  }

  /** The range of a step that adds memory; a namespace is mapped whole, whatever part is named. */
  Ram added() {
    Ram named = named(Objects.requireNonNull(step));
    return verb("bind") ? namespace(spec(), named) : named;
  }

  /** The range that a step names by its first two numbers. */
  static Ram named(Step step) {
    List<Long> numbers = Workbench.numbers(step);
    return new Ram(numbers.get(0), numbers.get(0) + numbers.get(1), 0);
  }

  /** Persistent memory with the start of {@code named} in it; {@code named} itself for none. */
  static Ram namespace(MachineSpec spec, Ram named) {
    return spec.pmem().stream()
        .filter(range -> range.start() <= named.start() && named.start() < range.end())
        .findFirst()
        .orElse(named);
  }

  /** True when some aligned block of {@code block} bytes has a part of both. */
  static boolean shares(Ram one, Ram other, long block) {
    return one.start() / block <= (other.end() - 1) / block
        && other.start() / block <= (one.end() - 1) / block;
  }

  /** Memory that device DAX may have. */
  Stream<Ram> devices() {
    return Stream.concat(spec().softReserved().stream(), spec().pmem().stream());
  }

  /** The zones of all nodes that are online. */
  Stream<Zone> zones() {
    return kernel().mm().nodes().online().stream().flatMap(node -> Stream.of(node.zones()));
  }
}
