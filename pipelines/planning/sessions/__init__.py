"""landing/turns -> agent_session, agent_turn, tool_approval: what was said to agents, and what they may not do unasked."""
