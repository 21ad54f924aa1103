// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Names the place in the kernel's source that a type or method was ported from. */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD, ElementType.FIELD})
public @interface Kernel {
  /** The file, from the root of the kernel's source: {@code mm/sparse-vmemmap.c}. */
  String file();

  /** The function, macro or type as the kernel spells it. */
  String symbol();

  /** How close the port is. */
  Fidelity fidelity() default Fidelity.PORTED;

  /** Why it is not {@link Fidelity#PORTED}, and what differs; empty for a port. */
  String why() default "";

  /** Numbers of the patches of the series, 1 to 49, that touched the symbol. */
  int[] patches() default {};

  /** How close a port is to its original. */
  enum Fidelity {
    /** The same logic. */
    PORTED,
    /** The same contract by another mechanism. */
    CUSTOM,
    /** Does nothing. */
    STUB
  }
}
